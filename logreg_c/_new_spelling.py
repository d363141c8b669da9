# SPDX-License-Identifier: BSD-3-Clause
"""What to write instead of the parameters of scikit-learn's class that the estimator lacks."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator

# Parameters that scikit-learn's class has or had and this one does not, and what to write.
_ELSEWHERE = {
    "penalty": "the ridge penalty is the default, of strength 1/C, and {unpenalised} is none "
    "(penalty=None); {lasso} is an L1 penalty alone, and a share below 1 an elastic net",
    "dual": "leave it out, there is only the primal problem",
    "intercept_scaling": "leave it out, the intercept is never penalised",
    "multi_class": "leave it out, several classes are fitted together (multinomial); for one "
    "against the rest use sklearn.multiclass.OneVsRestClassifier({name}())",
}


class TellsNewSpelling(BaseEstimator):  # type: ignore[misc]
    """Refuse parameters of scikit-learn's class that are spelt differently here, saying how.

    In ``__new__`` of a base class, because scikit-learn takes every name in the signature of
    ``__init__`` for a parameter that can be set, shown and cloned.
    """

    # How a class is told that there is no penalty, and only an L1 penalty.
    _unpenalised: ClassVar = "C=numpy.inf"
    _lasso: ClassVar = "l1_ratio=1"

    def __new__(cls, *args: Any, **parameters: Any) -> Self:
        kinds = {parameter.kind for parameter in inspect.signature(cls).parameters.values()}
        if args and isinstance(args[0], str) and kinds <= {inspect.Parameter.KEYWORD_ONLY}:
            # Of scikit-learn's class that is the one parameter without a name.
            parameters = {"penalty": args[0], **parameters}
        cls._refuse_elsewhere(parameters)
        new: Self = super().__new__(cls)
        return new

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters, as scikit-learn's estimators do.

        Parameters
        ----------
        **parameters : dict
            Names and values.

        Returns
        -------
        LogisticRegression
            The estimator itself.
        """
        self._refuse_elsewhere(parameters)
        super().set_params(**parameters)
        return self

    @classmethod
    def _refuse_elsewhere(cls, parameters: dict[str, Any]) -> None:
        for name, value in parameters.items():
            # A class derived from this one may have a parameter of that name.
            if name in _ELSEWHERE and name not in inspect.signature(cls).parameters:
                advice = _ELSEWHERE[name].format(
                    unpenalised=cls._unpenalised, lasso=cls._lasso, name=cls.__name__
                )
                raise TypeError(
                    f"{cls.__name__} has no parameter {name!r} (given: {value!r}): {advice}"
                )
