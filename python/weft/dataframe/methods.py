"""Functions on partitions, under the path by which libraries import them."""

from weft.dataframe.dispatch import concat, is_categorical_dtype, tolist, union_categoricals

__all__ = ["concat", "is_categorical_dtype", "tolist", "union_categoricals"]
