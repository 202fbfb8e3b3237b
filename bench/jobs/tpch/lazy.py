"""The 22 queries of TPC-H with Polars' lazy frames, decimals read as floats as in the other frames."""

from datetime import date

import polars as pl
from polars import col


def revenue():
    return (col("l_extendedprice") * (1 - col("l_discount"))).alias("revenue")


def between(name, start, end):
    return (col(name) >= start) & (col(name) < end)


def join(left, right, left_on, right_on, how="inner"):
    """Both sides' keys are columns of the result, as in the SQL."""
    return left.join(right, left_on=left_on, right_on=right_on, how=how, coalesce=False)


def q1(t):
    price = col("l_extendedprice") * (1 - col("l_discount"))
    return (
        t("lineitem")
        .filter(col("l_shipdate") <= date(1998, 9, 2))
        .group_by("l_returnflag", "l_linestatus")
        .agg(
            col("l_quantity").sum().alias("sum_qty"),
            col("l_extendedprice").sum().alias("sum_base_price"),
            price.sum().alias("sum_disc_price"),
            (price * (1 + col("l_tax"))).sum().alias("sum_charge"),
            col("l_quantity").mean().alias("avg_qty"),
            col("l_extendedprice").mean().alias("avg_price"),
            col("l_discount").mean().alias("avg_disc"),
            pl.len().alias("count_order"),
        )
        .sort("l_returnflag", "l_linestatus")
    )


def q2(t):
    europe = join(t("nation"), t("region").filter(col("r_name") == "EUROPE"), "n_regionkey", "r_regionkey")
    supplier = join(t("supplier"), europe, "s_nationkey", "n_nationkey")
    part = t("part").filter((col("p_size") == 15) & col("p_type").str.ends_with("BRASS"))
    df = join(join(t("partsupp"), part, "ps_partkey", "p_partkey"), supplier, "ps_suppkey", "s_suppkey")
    least = df.group_by("p_partkey").agg(col("ps_supplycost").min())
    columns = ["s_acctbal", "s_name", "n_name", "p_partkey", "p_mfgr", "s_address", "s_phone", "s_comment"]
    keys = ["s_acctbal", "n_name", "s_name", "p_partkey"]
    df = df.join(least, on=["p_partkey", "ps_supplycost"]).select(columns)
    return df.sort(keys, descending=[True, False, False, False]).head(100)


def q3(t):
    customer = t("customer").filter(col("c_mktsegment") == "BUILDING")
    orders = t("orders").filter(col("o_orderdate") < date(1995, 3, 15))
    lineitem = t("lineitem").filter(col("l_shipdate") > date(1995, 3, 15))
    df = join(lineitem, join(orders, customer, "o_custkey", "c_custkey"), "l_orderkey", "o_orderkey")
    df = df.group_by("l_orderkey", "o_orderdate", "o_shippriority").agg(revenue().sum())
    df = df.select("l_orderkey", "revenue", "o_orderdate", "o_shippriority")
    return df.sort(["revenue", "o_orderdate"], descending=[True, False]).head(10)


def q4(t):
    orders = t("orders").filter(between("o_orderdate", date(1993, 7, 1), date(1993, 10, 1)))
    late = t("lineitem").filter(col("l_commitdate") < col("l_receiptdate"))
    df = orders.join(late, left_on="o_orderkey", right_on="l_orderkey", how="semi")
    return df.group_by("o_orderpriority").agg(pl.len().alias("order_count")).sort("o_orderpriority")


def q5(t):
    asia = join(t("nation"), t("region").filter(col("r_name") == "ASIA"), "n_regionkey", "r_regionkey")
    orders = t("orders").filter(between("o_orderdate", date(1994, 1, 1), date(1995, 1, 1)))
    df = join(orders, join(t("customer"), asia, "c_nationkey", "n_nationkey"), "o_custkey", "c_custkey")
    df = join(t("lineitem"), df, "l_orderkey", "o_orderkey")
    df = join(df, t("supplier"), ["l_suppkey", "n_nationkey"], ["s_suppkey", "s_nationkey"])
    return df.group_by("n_name").agg(revenue().sum()).sort("revenue", descending=True)


def q6(t):
    return (
        t("lineitem")
        .filter(
            between("l_shipdate", date(1994, 1, 1), date(1995, 1, 1))
            & (col("l_discount") >= 0.05)
            & (col("l_discount") <= 0.07)
            & (col("l_quantity") < 24)
        )
        .select((col("l_extendedprice") * col("l_discount")).sum())
    )


def q7(t):
    nation = t("nation").filter(col("n_name").is_in(["FRANCE", "GERMANY"]))
    seller = nation.select(s_nation="n_nationkey", supp_nation="n_name")
    buyer = nation.select(c_nation="n_nationkey", cust_nation="n_name")
    supplier = join(t("supplier"), seller, "s_nationkey", "s_nation")
    customer = join(t("customer"), buyer, "c_nationkey", "c_nation")
    df = t("lineitem").filter(col("l_shipdate").is_between(date(1995, 1, 1), date(1996, 12, 31)))
    df = join(df, supplier, "l_suppkey", "s_suppkey")
    df = join(df, join(t("orders"), customer, "o_custkey", "c_custkey"), "l_orderkey", "o_orderkey")
    df = df.filter(col("supp_nation") != col("cust_nation"))
    keys = ["supp_nation", "cust_nation", "l_year"]
    df = df.with_columns(col("l_shipdate").dt.year().alias("l_year"))
    return df.group_by(keys).agg(revenue().sum()).sort(keys)


def q8(t):
    america = join(
        t("nation"), t("region").filter(col("r_name") == "AMERICA"), "n_regionkey", "r_regionkey"
    ).select("n_nationkey")
    customer = join(t("customer"), america, "c_nationkey", "n_nationkey").select("c_custkey")
    orders = t("orders").filter(col("o_orderdate").is_between(date(1995, 1, 1), date(1996, 12, 31)))
    orders = join(orders, customer, "o_custkey", "c_custkey")
    part = t("part").filter(col("p_type") == "ECONOMY ANODIZED STEEL")
    supplier = join(t("supplier"), t("nation"), "s_nationkey", "n_nationkey")
    df = join(join(t("lineitem"), part, "l_partkey", "p_partkey"), orders, "l_orderkey", "o_orderkey")
    df = join(df, supplier, "l_suppkey", "s_suppkey")
    brazil = pl.when(col("n_name") == "BRAZIL").then(revenue()).otherwise(0.0)
    df = df.group_by(col("o_orderdate").dt.year().alias("o_year"))
    return df.agg((brazil.sum() / revenue().sum()).alias("mkt_share")).sort("o_year")


def q9(t):
    part = t("part").filter(col("p_name").str.contains("green", literal=True))
    supplier = join(t("supplier"), t("nation"), "s_nationkey", "n_nationkey")
    df = join(t("lineitem"), part, "l_partkey", "p_partkey")
    df = join(df, t("partsupp"), ["l_partkey", "l_suppkey"], ["ps_partkey", "ps_suppkey"])
    df = join(join(df, supplier, "l_suppkey", "s_suppkey"), t("orders"), "l_orderkey", "o_orderkey")
    df = df.with_columns(
        col("o_orderdate").dt.year().alias("o_year"),
        (revenue() - col("ps_supplycost") * col("l_quantity")).alias("amount"),
    )
    df = df.group_by("n_name", "o_year").agg(col("amount").sum())
    return df.sort(["n_name", "o_year"], descending=[False, True])


def q10(t):
    orders = t("orders").filter(between("o_orderdate", date(1993, 10, 1), date(1994, 1, 1)))
    df = join(t("lineitem").filter(col("l_returnflag") == "R"), orders, "l_orderkey", "o_orderkey")
    df = df.group_by("o_custkey").agg(revenue().sum())
    df = join(join(df, t("customer"), "o_custkey", "c_custkey"), t("nation"), "c_nationkey", "n_nationkey")
    columns = ["c_custkey", "c_name", "revenue", "c_acctbal", "n_name", "c_address", "c_phone", "c_comment"]
    return df.select(columns).sort("revenue", descending=True).head(20)


def q11(t):
    germany = t("nation").filter(col("n_name") == "GERMANY")
    supplier = join(t("supplier"), germany, "s_nationkey", "n_nationkey")
    df = join(t("partsupp"), supplier, "ps_suppkey", "s_suppkey")
    df = df.with_columns((col("ps_supplycost") * col("ps_availqty")).alias("value"))
    limit = df.select((col("value").sum() * 0.0001 / t.scale).alias("limit"))
    df = df.group_by("ps_partkey").agg(col("value").sum()).join(limit, how="cross")
    return df.filter(col("value") > col("limit")).drop("limit").sort("value", descending=True)


def q12(t):
    df = t("lineitem").filter(
        col("l_shipmode").is_in(["MAIL", "SHIP"])
        & (col("l_commitdate") < col("l_receiptdate"))
        & (col("l_shipdate") < col("l_commitdate"))
        & between("l_receiptdate", date(1994, 1, 1), date(1995, 1, 1))
    )
    df = join(df, t("orders"), "l_orderkey", "o_orderkey")
    high = col("o_orderpriority").is_in(["1-URGENT", "2-HIGH"])
    df = df.group_by("l_shipmode").agg(high.sum().alias("high"), (~high).sum().alias("low"))
    return df.sort("l_shipmode")


def q13(t):
    orders = t("orders").filter(~col("o_comment").str.contains("special.*requests"))
    df = join(t("customer"), orders, "c_custkey", "o_custkey", "left")
    df = df.group_by("c_custkey").agg(col("o_orderkey").count().alias("c_count"))
    df = df.group_by("c_count").agg(pl.len().alias("custdist"))
    return df.sort(["custdist", "c_count"], descending=True)


def q14(t):
    df = t("lineitem").filter(between("l_shipdate", date(1995, 9, 1), date(1995, 10, 1)))
    df = join(df, t("part"), "l_partkey", "p_partkey")
    promo = pl.when(col("p_type").str.starts_with("PROMO")).then(revenue()).otherwise(0.0)
    return df.select(100.0 * promo.sum() / revenue().sum())


def q15(t):
    df = t("lineitem").filter(between("l_shipdate", date(1996, 1, 1), date(1996, 4, 1)))
    df = df.group_by("l_suppkey").agg(revenue().sum().round(2).alias("total_revenue"))
    df = df.filter(col("total_revenue") == col("total_revenue").max())
    columns = ["s_suppkey", "s_name", "s_address", "s_phone", "total_revenue"]
    return join(t("supplier"), df, "s_suppkey", "l_suppkey").select(columns).sort("s_suppkey")


def q16(t):
    part = t("part").filter(
        (col("p_brand") != "Brand#45")
        & ~col("p_type").str.starts_with("MEDIUM POLISHED")
        & col("p_size").is_in([49, 14, 23, 45, 19, 3, 36, 9])
    )
    bad = t("supplier").filter(col("s_comment").str.contains("Customer.*Complaints"))
    df = join(t("partsupp"), part, "ps_partkey", "p_partkey")
    df = df.join(bad, left_on="ps_suppkey", right_on="s_suppkey", how="anti")
    keys = ["p_brand", "p_type", "p_size"]
    df = df.group_by(keys).agg(col("ps_suppkey").n_unique().alias("supplier_cnt"))
    return df.sort(["supplier_cnt", *keys], descending=[True, False, False, False])


def q17(t):
    part = t("part").filter((col("p_brand") == "Brand#23") & (col("p_container") == "MED BOX"))
    df = join(t("lineitem"), part, "l_partkey", "p_partkey")
    mean = df.group_by("l_partkey").agg(col("l_quantity").mean().alias("avg_quantity"))
    df = df.join(mean, on="l_partkey").filter(col("l_quantity") < 0.2 * col("avg_quantity"))
    return df.select(col("l_extendedprice").sum() / 7.0)


def q18(t):
    large = t("lineitem").group_by("l_orderkey").agg(col("l_quantity").sum().alias("sum_quantity"))
    df = join(t("orders"), large.filter(col("sum_quantity") > 300), "o_orderkey", "l_orderkey")
    df = join(df, t("customer"), "o_custkey", "c_custkey")
    df = df.select("c_name", "c_custkey", "o_orderkey", "o_orderdate", "o_totalprice", "sum_quantity")
    return df.sort(["o_totalprice", "o_orderdate"], descending=[True, False]).head(100)


def q19(t):
    df = t("lineitem").filter(
        col("l_shipmode").is_in(["AIR", "AIR REG"]) & (col("l_shipinstruct") == "DELIVER IN PERSON")
    )
    df = join(df, t("part"), "l_partkey", "p_partkey")

    def kind(brand, containers, low, size):
        return (
            (col("p_brand") == brand)
            & col("p_container").is_in(containers)
            & col("l_quantity").is_between(low, low + 10)
            & col("p_size").is_between(1, size)
        )

    df = df.filter(
        kind("Brand#12", ["SM CASE", "SM BOX", "SM PACK", "SM PKG"], 1, 5)
        | kind("Brand#23", ["MED BAG", "MED BOX", "MED PKG", "MED PACK"], 10, 10)
        | kind("Brand#34", ["LG CASE", "LG BOX", "LG PACK", "LG PKG"], 20, 15)
    )
    return df.select(revenue().sum())


def q20(t):
    part = t("part").filter(col("p_name").str.starts_with("forest")).select("p_partkey")
    df = t("lineitem").filter(between("l_shipdate", date(1994, 1, 1), date(1995, 1, 1)))
    df = df.join(part, left_on="l_partkey", right_on="p_partkey", how="semi")
    shipped = df.group_by("l_partkey", "l_suppkey").agg(col("l_quantity").sum())
    df = join(t("partsupp"), shipped, ["ps_partkey", "ps_suppkey"], ["l_partkey", "l_suppkey"])
    df = df.filter(col("ps_availqty") > 0.5 * col("l_quantity"))
    canada = t("nation").filter(col("n_name") == "CANADA")
    supplier = join(t("supplier"), canada, "s_nationkey", "n_nationkey")
    df = supplier.join(df, left_on="s_suppkey", right_on="ps_suppkey", how="semi")
    return df.select("s_name", "s_address").sort("s_name")


def q21(t):
    late = t("lineitem").filter(col("l_receiptdate") > col("l_commitdate"))
    suppliers = t("lineitem").group_by("l_orderkey").agg(col("l_suppkey").n_unique().alias("suppliers"))
    at_fault = late.group_by("l_orderkey").agg(col("l_suppkey").n_unique().alias("at_fault"))
    saudi = t("nation").filter(col("n_name") == "SAUDI ARABIA")
    supplier = join(t("supplier"), saudi, "s_nationkey", "n_nationkey")
    orders = t("orders").filter(col("o_orderstatus") == "F").select("o_orderkey")
    df = join(late, supplier, "l_suppkey", "s_suppkey")
    df = df.join(orders, left_on="l_orderkey", right_on="o_orderkey")
    df = df.join(suppliers.filter(col("suppliers") > 1), on="l_orderkey")
    df = df.join(at_fault.filter(col("at_fault") == 1), on="l_orderkey")
    df = df.group_by("s_name").agg(pl.len().alias("numwait"))
    return df.sort(["numwait", "s_name"], descending=[True, False]).head(100)


def q22(t):
    df = t("customer").with_columns(col("c_phone").str.slice(0, 2).alias("cntrycode"))
    df = df.filter(col("cntrycode").is_in(["13", "31", "23", "29", "30", "18", "17"]))
    mean = df.filter(col("c_acctbal") > 0).select(col("c_acctbal").mean().alias("mean"))
    df = df.join(mean, how="cross").filter(col("c_acctbal") > col("mean"))
    df = df.join(t("orders"), left_on="c_custkey", right_on="o_custkey", how="anti")
    df = df.group_by("cntrycode").agg(pl.len().alias("numcust"), col("c_acctbal").sum().alias("totacctbal"))
    return df.sort("cntrycode")


QUERIES = {f"q{i}": globals()[f"q{i}"] for i in range(1, 23)}
