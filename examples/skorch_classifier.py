"""skorch: AdaBelief inside a scikit-learn estimator, with a grid over its eps.

Run it with: python examples/skorch_classifier.py
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier
from torch import nn

from adabelief import AdaBelief


def classifier() -> NeuralNetClassifier:
    """A small MLP for 8x8 digits; every `optimizer__` argument is one of AdaBelief."""
    return NeuralNetClassifier(
        nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)),
        criterion=nn.CrossEntropyLoss,
        optimizer=AdaBelief,
        optimizer__lr=1e-2,
        optimizer__weight_decay=1e-2,
        optimizer__param_groups=[("*.bias", {"weight_decay": 0.0})],  # a group by name
        max_epochs=5,
        batch_size=50,
        train_split=None,
        verbose=0,
    )


def main() -> GridSearchCV:
    """Choose eps by cross-validation on 600 digits, and print what was found."""
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    grid = {"optimizer__eps": [1e-16, 1e-8]}
    search = GridSearchCV(classifier(), grid, cv=3, scoring="accuracy")
    search.fit(images[:600].astype("float32") / 16, labels[:600])
    print(f"best eps {search.best_params_['optimizer__eps']}, accuracy {search.best_score_:.3f}")
    return search


if __name__ == "__main__":
    main()
