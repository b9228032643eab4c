"""What type checkers must refuse: the lines with the comment, each of them, and no other."""

import torch
from torch import nn

from adabelief import AdaBelief, Hyperparameters

layer = nn.Linear(2, 1)
weights = [layer.weight]
optimizer = AdaBelief(weights)

AdaBelief()  # error
AdaBelief(1.0)  # error
AdaBelief([1.0])  # error
AdaBelief(weights, "0.1")  # error
AdaBelief(weights, lr=None)  # error
AdaBelief(weights, betas=0.9)  # error
AdaBelief(weights, betas=(0.9,))  # error
AdaBelief(weights, betas=(0.9, 0.99, 0.999))  # error
AdaBelief(weights, eps="1e-8")  # error
AdaBelief(weights, eps=(1e-30, 1e-16))  # error
AdaBelief(weights, weight_decay=None)  # error
AdaBelief(weights, 1e-3, (0.9, 0.999), 1e-16, 0.0, True)  # error
AdaBelief(weights, weight_decouple=True)  # error
AdaBelief(weights, momentum=0.9)  # error
AdaBelief(weights, amsgrad="yes")  # error
AdaBelief(weights, rectify=None)  # error
AdaBelief(weights, clip_update="1")  # error
AdaBelief(weights, maximize=0.5)  # error
AdaBelief(weights, foreach="auto")  # error

optimizer.step(0.5)  # error
optimizer.step(lambda: "loss")  # error
optimizer.step(lambda loss: loss)  # error
optimizer.load_state_dict(None)  # error
optimizer.add_param_group(weights)  # error
optimizer.zero_grad("none")  # error
optimizer.steps()  # error
count: int = optimizer.step(lambda: 0.5)  # error
nothing: torch.Tensor = optimizer.step()  # error

Hyperparameters(lr="0.1")  # error
Hyperparameters(0.1).lr = 0.2  # error
Hyperparameters(momentum=0.9)  # error
