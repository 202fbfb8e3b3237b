"""Tests and moments, as in `scipy.stats`.

Moments are arrays. Tests are lazy named tuples: ``statistic, pvalue = ttest_ind(a, b)`` stays lazy, and
``ttest_ind(a, b).compute()`` gives the numbers.
"""

from __future__ import annotations

import math
from collections import namedtuple
from functools import partial
from typing import Any

import numpy as np

from weft.array.core import asarray
from weft.array.routines import where
from weft.delayed import delayed
from weft.utils import import_required

__all__ = [
    "chisquare",
    "f_oneway",
    "kurtosis",
    "kurtosistest",
    "moment",
    "normaltest",
    "power_divergence",
    "skew",
    "skewtest",
    "ttest_1samp",
    "ttest_ind",
    "ttest_rel",
]

F_onewayResult = namedtuple("F_onewayResult", ("statistic", "pvalue"))
KurtosistestResult = namedtuple("KurtosistestResult", ("statistic", "pvalue"))
NormaltestResult = namedtuple("NormaltestResult", ("statistic", "pvalue"))
Power_divergenceResult = namedtuple("Power_divergenceResult", ("statistic", "pvalue"))
SkewtestResult = namedtuple("SkewtestResult", ("statistic", "pvalue"))
Ttest_1sampResult = namedtuple("Ttest_1sampResult", ("statistic", "pvalue"))
Ttest_indResult = namedtuple("Ttest_indResult", ("statistic", "pvalue"))
Ttest_relResult = namedtuple("Ttest_relResult", ("statistic", "pvalue"))


def _distributions() -> Any:
    return import_required("scipy.stats", "weft.array.stats needs SciPy: pip install scipy").distributions


def _omit(nan_policy: str) -> None:
    if nan_policy != "propagate":
        raise NotImplementedError("`nan_policy` other than 'propagate' have not been implemented.")


def _apply(function: Any, *args: Any) -> Any:
    """A function of elements; a single value stays lazy as well."""
    from weft.array.core import elemwise

    return elemwise(function, *args, dtype=float)


def _result(kind: Any, statistic: Any, pvalue: Any) -> Any:
    """Both as one lazy named tuple: ``.compute()`` gives what SciPy gives, and it can be unpacked."""
    return delayed(kind, nout=2)(statistic, pvalue)


def _t_probability(df: Any, t: Any) -> Any:
    return _distributions().t.sf(np.abs(t), df) * 2


def _f_probability(f: Any, a: Any, b: Any) -> Any:
    return _distributions().f.sf(f, a, b)


def _chi2_probability(x: Any, df: Any) -> Any:
    return _distributions().chi2.sf(x, df)


def _normal_probability(z: Any) -> Any:
    return 2 * _distributions().norm.sf(np.abs(z))


def _sqrt(x: Any) -> Any:
    return x.map_blocks(np.sqrt, dtype=float)


def ttest_ind(a: Any, b: Any, axis: int = 0, equal_var: bool = True) -> Any:
    """The t-test of two independent samples; see `scipy.stats.ttest_ind`."""
    v1, v2 = a.var(axis, ddof=1), b.var(axis, ddof=1)
    n1, n2 = a.shape[axis], b.shape[axis]
    if equal_var:
        df: Any = n1 + n2 - 2
        denominator = _sqrt(((n1 - 1) * v1 + (n2 - 1) * v2) / df * (1 / n1 + 1 / n2))
    else:
        p1, p2 = v1 / n1, v2 / n2
        df = (p1 + p2) ** 2 / (p1**2 / (n1 - 1) + p2**2 / (n2 - 1))
        df = where(np.isnan(df), 1, df)
        denominator = _sqrt(p1 + p2)
    t = (a.mean(axis) - b.mean(axis)) / denominator
    return _result(Ttest_indResult, t, _apply(_t_probability, df, t))


def ttest_1samp(a: Any, popmean: Any, axis: int = 0, nan_policy: str = "propagate") -> Any:
    """The t-test of the mean of one sample; see `scipy.stats.ttest_1samp`."""
    _omit(nan_policy)
    n = a.shape[axis]
    t = (a.mean(axis) - popmean) / _sqrt(a.var(axis, ddof=1) / float(n))
    return _result(Ttest_1sampResult, t, _apply(_t_probability, n - 1, t))


def ttest_rel(a: Any, b: Any, axis: int = 0, nan_policy: str = "propagate") -> Any:
    """The t-test of two related samples; see `scipy.stats.ttest_rel`."""
    _omit(nan_policy)
    return _result(Ttest_relResult, *ttest_1samp((a - b).astype(np.float64), 0, axis))


def chisquare(f_obs: Any, f_exp: Any = None, ddof: int = 0, axis: int = 0) -> Any:
    """The chi-square test; see `scipy.stats.chisquare`."""
    return power_divergence(f_obs, f_exp=f_exp, ddof=ddof, axis=axis, lambda_="pearson")


_POWERS = {
    "pearson": 1,
    "log-likelihood": 0,
    "freeman-tukey": -0.5,
    "mod-log-likelihood": -1,
    "neyman": -2,
    "cressie-read": 2 / 3,
}


def power_divergence(f_obs: Any, f_exp: Any = None, ddof: int = 0, axis: int = 0, lambda_: Any = None) -> Any:
    """The power divergence test; see `scipy.stats.power_divergence`."""
    if isinstance(lambda_, str):
        if lambda_ not in _POWERS:
            raise ValueError(
                f"invalid string for lambda_: {lambda_!r}. Valid strings are {', '.join(map(repr, _POWERS))}"
            )
        lambda_ = _POWERS[lambda_]
    elif lambda_ is None:
        lambda_ = 1
    if f_exp is None:
        f_exp = f_obs.mean(axis=axis, keepdims=True)
    if lambda_ == 1:
        terms = (f_obs - f_exp) ** 2 / f_exp
    elif lambda_ == 0:
        terms = 2.0 * _apply(_xlogy, f_obs, f_obs / f_exp)
    elif lambda_ == -1:
        terms = 2.0 * _apply(_xlogy, f_exp, f_exp / f_obs)
    else:
        terms = f_obs * ((f_obs / f_exp) ** lambda_ - 1) / (0.5 * lambda_ * (lambda_ + 1))
    statistic = terms.sum(axis=axis)
    count = f_obs.shape[axis] if axis is not None else f_obs.size
    return _result(Power_divergenceResult, statistic, _apply(_chi2_probability, statistic, count - 1 - ddof))


def _xlogy(x: Any, y: Any) -> Any:
    return import_required("scipy.special", "this test needs SciPy: pip install scipy").xlogy(x, y)


def moment(a: Any, moment: int = 1, axis: Any = 0, nan_policy: str = "propagate") -> Any:
    """A central moment; see `scipy.stats.moment`.

    Examples
    --------
    >>> import weft.array as da
    >>> from weft.array import stats
    >>> float(stats.moment(da.arange(4, chunks=2), 2).compute())
    1.25
    """
    from weft.array.reductions import moment as central

    _omit(nan_policy)
    return central(a, moment, axis=axis)


def _ratio(moment: Any, power: Any, degenerate: Any) -> Any:
    return np.where(degenerate, 0.0, moment / np.where(degenerate, 1, power))[()]


def _skew_ratio(m2: Any, m3: Any) -> Any:
    return _ratio(m3, m2**1.5, m2 == 0)


def _kurtosis_ratio(m2: Any, m4: Any) -> Any:
    return _ratio(m4, m2**2.0, m2 == 0)


def skew(a: Any, axis: Any = 0, bias: bool = True, nan_policy: str = "propagate") -> Any:
    """Skewness; see `scipy.stats.skew`."""
    _omit(nan_policy)
    n = a.shape[axis]
    m2, m3 = moment(a, 2, axis), moment(a, 3, axis)
    values = _apply(_skew_ratio, m2, m3)
    if not bias and n > 2:
        values = where(m2 > 0, math.sqrt((n - 1.0) * n) / (n - 2.0) * values, values)
    return values


def kurtosis(
    a: Any, axis: Any = 0, fisher: bool = True, bias: bool = True, nan_policy: str = "propagate"
) -> Any:
    """Kurtosis; see `scipy.stats.kurtosis`."""
    _omit(nan_policy)
    n = a.shape[axis]
    m2, m4 = moment(a, 2, axis), moment(a, 4, axis)
    values = _apply(_kurtosis_ratio, m2, m4)
    if not bias and n > 3:
        unbiased = 1.0 / (n - 2) / (n - 3) * ((n**2 - 1.0) * values - 3 * (n - 1) ** 2.0)
        values = where(m2 > 0, unbiased + 3.0, values)
    return values - 3 if fisher else values


def _skew_z(skewness: Any, n: int) -> Any:
    y = skewness * math.sqrt(((n + 1) * (n + 3)) / (6.0 * (n - 2)))
    beta2 = 3.0 * (n**2 + 27 * n - 70) * (n + 1) * (n + 3) / ((n - 2.0) * (n + 5) * (n + 7) * (n + 9))
    w2 = -1 + math.sqrt(2 * (beta2 - 1))
    delta = 1 / math.sqrt(0.5 * math.log(w2))
    alpha = math.sqrt(2.0 / (w2 - 1))
    y = np.where(y == 0, 1, y)
    return delta * np.log(y / alpha + np.sqrt((y / alpha) ** 2 + 1))


def _kurtosis_z(b2: Any, n: int) -> Any:
    expected = 3.0 * (n - 1) / (n + 1)
    variance = 24.0 * n * (n - 2) * (n - 3) / ((n + 1) ** 2.0 * (n + 3) * (n + 5))
    x = (b2 - expected) / math.sqrt(variance)
    root = (
        6.0
        * (n * n - 5 * n + 2)
        / ((n + 7) * (n + 9))
        * math.sqrt((6.0 * (n + 3) * (n + 5)) / (n * (n - 2) * (n - 3)))
    )
    a = 6.0 + 8.0 / root * (2.0 / root + math.sqrt(1 + 4.0 / root**2))
    first = 1 - 2 / (9.0 * a)
    denominator = 1 + x * math.sqrt(2 / (a - 4.0))
    second = np.sign(denominator) * np.where(
        denominator == 0, np.nan, np.power((1 - 2.0 / a) / np.abs(denominator), 1 / 3.0)
    )
    return (first - second) / math.sqrt(2 / (9.0 * a))


def skewtest(a: Any, axis: int = 0, nan_policy: str = "propagate") -> Any:
    """Whether the skewness is that of a normal distribution; see `scipy.stats.skewtest`.

    Raises
    ------
    ValueError
        If there are fewer than 8 samples.
    """
    z = _skew_statistic(a, axis, nan_policy)
    return _result(SkewtestResult, z, _apply(_normal_probability, z))


def _skew_statistic(a: Any, axis: int, nan_policy: str) -> Any:
    _omit(nan_policy)
    n = a.shape[axis]
    if n < 8:
        raise ValueError(f"skewtest is not valid with less than 8 samples; {n} samples were given.")
    return _apply(partial(_skew_z, n=n), skew(a, axis))


def kurtosistest(a: Any, axis: int = 0, nan_policy: str = "propagate") -> Any:
    """Whether the kurtosis is that of a normal distribution; see `scipy.stats.kurtosistest`."""
    z = _kurtosis_statistic(a, axis, nan_policy)
    return _result(KurtosistestResult, z, _apply(_normal_probability, z))


def _kurtosis_statistic(a: Any, axis: int, nan_policy: str) -> Any:
    _omit(nan_policy)
    return _apply(partial(_kurtosis_z, n=a.shape[axis]), kurtosis(a, axis, fisher=False))


def normaltest(a: Any, axis: int = 0, nan_policy: str = "propagate") -> Any:
    """Whether a sample is of a normal distribution; see `scipy.stats.normaltest`."""
    s, k = _skew_statistic(a, axis, nan_policy), _kurtosis_statistic(a, axis, nan_policy)
    k2 = s * s + k * k
    return _result(NormaltestResult, k2, _apply(_chi2_probability, k2, 2))


def f_oneway(*args: Any) -> Any:
    """One-way analysis of variance; see `scipy.stats.f_oneway`."""
    samples = [asarray(a) for a in args]
    total = sum(a.size for a in samples)
    offset = sum(a.sum() for a in samples) / total
    between = sum(a.size * (a.mean() - offset) ** 2 for a in samples)
    within = sum(((a - a.mean()) ** 2).sum() for a in samples)
    df_between, df_within = len(samples) - 1, total - len(samples)
    f = (between / df_between) / (within / df_within)
    return _result(F_onewayResult, f, _apply(_f_probability, f, df_between, df_within))
