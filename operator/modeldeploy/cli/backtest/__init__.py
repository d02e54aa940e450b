"""`modeldeploy backtest`: history, judged anew."""
