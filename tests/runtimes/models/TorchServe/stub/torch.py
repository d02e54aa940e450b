"""Stands in for PyTorch: TorchServe's worker asks for one type of it, to tell tensors from other answers."""


class Tensor:
    pass
