"""Whether what a model is asked, or answers, has moved: suddenly, or little by little."""
