"""The 22 queries of TPC-H, written once against Dask's dataframe API.

``t`` holds the tables: ``t.lineitem`` is a lazy DataFrame. Decimals are read as floats, since products of
decimals soon have more digits than Arrow allows; dates stay dates.
"""

from datetime import date


def q1(t):
    df = t.lineitem
    df = df[df.l_shipdate <= date(1998, 9, 2)]
    df = df.assign(disc_price=df.l_extendedprice * (1 - df.l_discount))
    df = df.assign(charge=df.disc_price * (1 + df.l_tax))
    return (
        df.groupby(["l_returnflag", "l_linestatus"])
        .agg(
            sum_qty=("l_quantity", "sum"),
            sum_base_price=("l_extendedprice", "sum"),
            sum_disc_price=("disc_price", "sum"),
            sum_charge=("charge", "sum"),
            avg_qty=("l_quantity", "mean"),
            avg_price=("l_extendedprice", "mean"),
            avg_disc=("l_discount", "mean"),
            count_order=("l_quantity", "count"),
        )
        .reset_index()
        .sort_values(["l_returnflag", "l_linestatus"])
    )


def q2(t):
    region = t.region[t.region.r_name == "EUROPE"]
    nation = t.nation.merge(region, left_on="n_regionkey", right_on="r_regionkey")
    supplier = t.supplier.merge(nation, left_on="s_nationkey", right_on="n_nationkey")
    part = t.part[(t.part.p_size == 15) & t.part.p_type.str.endswith("BRASS")]
    df = t.partsupp.merge(part, left_on="ps_partkey", right_on="p_partkey")
    df = df.merge(supplier, left_on="ps_suppkey", right_on="s_suppkey")
    least = df.groupby("p_partkey").ps_supplycost.min().reset_index()
    df = df.merge(least, on=["p_partkey", "ps_supplycost"])
    columns = ["s_acctbal", "s_name", "n_name", "p_partkey", "p_mfgr", "s_address", "s_phone", "s_comment"]
    df = df[columns].compute()
    keys = ["s_acctbal", "n_name", "s_name", "p_partkey"]
    return df.sort_values(keys, ascending=[False, True, True, True]).head(100)


def q3(t):
    customer = t.customer[t.customer.c_mktsegment == "BUILDING"]
    orders = t.orders[t.orders.o_orderdate < date(1995, 3, 15)]
    lineitem = t.lineitem[t.lineitem.l_shipdate > date(1995, 3, 15)]
    df = orders.merge(customer, left_on="o_custkey", right_on="c_custkey")
    df = lineitem.merge(df, left_on="l_orderkey", right_on="o_orderkey")
    df = df.assign(revenue=df.l_extendedprice * (1 - df.l_discount))
    df = df.groupby(["l_orderkey", "o_orderdate", "o_shippriority"]).revenue.sum().reset_index()
    df = df[["l_orderkey", "revenue", "o_orderdate", "o_shippriority"]].compute()
    return df.sort_values(["revenue", "o_orderdate"], ascending=[False, True]).head(10)


def q4(t):
    orders = t.orders
    orders = orders[(orders.o_orderdate >= date(1993, 7, 1)) & (orders.o_orderdate < date(1993, 10, 1))]
    late = t.lineitem[t.lineitem.l_commitdate < t.lineitem.l_receiptdate]
    df = orders.merge(late, left_on="o_orderkey", right_on="l_orderkey", how="leftsemi")
    df = df.groupby("o_orderpriority").o_orderkey.count().reset_index()
    return df.rename(columns={"o_orderkey": "order_count"}).sort_values("o_orderpriority")


def q5(t):
    region = t.region[t.region.r_name == "ASIA"]
    orders = t.orders
    orders = orders[(orders.o_orderdate >= date(1994, 1, 1)) & (orders.o_orderdate < date(1995, 1, 1))]
    nation = t.nation.merge(region, left_on="n_regionkey", right_on="r_regionkey")
    customer = t.customer.merge(nation, left_on="c_nationkey", right_on="n_nationkey")
    df = orders.merge(customer, left_on="o_custkey", right_on="c_custkey")
    df = t.lineitem.merge(df, left_on="l_orderkey", right_on="o_orderkey")
    df = df.merge(t.supplier, left_on=["l_suppkey", "n_nationkey"], right_on=["s_suppkey", "s_nationkey"])
    df = df.assign(revenue=df.l_extendedprice * (1 - df.l_discount))
    return df.groupby("n_name").revenue.sum().reset_index().sort_values("revenue", ascending=False)


def q6(t):
    df = t.lineitem
    df = df[(df.l_shipdate >= date(1994, 1, 1)) & (df.l_shipdate < date(1995, 1, 1))]
    df = df[(df.l_discount >= 0.05) & (df.l_discount <= 0.07) & (df.l_quantity < 24)]
    return (df.l_extendedprice * df.l_discount).sum()


def q7(t):
    nation = t.nation[t.nation.n_name.isin(["FRANCE", "GERMANY"])][["n_nationkey", "n_name"]]
    seller = nation.rename(columns={"n_nationkey": "s_nation", "n_name": "supp_nation"})
    buyer = nation.rename(columns={"n_nationkey": "c_nation", "n_name": "cust_nation"})
    supplier = t.supplier.merge(seller, left_on="s_nationkey", right_on="s_nation")
    customer = t.customer.merge(buyer, left_on="c_nationkey", right_on="c_nation")
    orders = t.orders.merge(customer, left_on="o_custkey", right_on="c_custkey")
    df = t.lineitem
    df = df[(df.l_shipdate >= date(1995, 1, 1)) & (df.l_shipdate <= date(1996, 12, 31))]
    df = df.merge(supplier, left_on="l_suppkey", right_on="s_suppkey")
    df = df.merge(orders, left_on="l_orderkey", right_on="o_orderkey")
    df = df[df.supp_nation != df.cust_nation]
    df = df.assign(l_year=df.l_shipdate.dt.year, volume=df.l_extendedprice * (1 - df.l_discount))
    keys = ["supp_nation", "cust_nation", "l_year"]
    return df.groupby(keys).volume.sum().reset_index().sort_values(keys)


def q8(t):
    region = t.region[t.region.r_name == "AMERICA"]
    america = t.nation.merge(region, left_on="n_regionkey", right_on="r_regionkey")[["n_nationkey"]]
    customer = t.customer.merge(america, left_on="c_nationkey", right_on="n_nationkey")[["c_custkey"]]
    orders = t.orders
    orders = orders[(orders.o_orderdate >= date(1995, 1, 1)) & (orders.o_orderdate <= date(1996, 12, 31))]
    orders = orders.merge(customer, left_on="o_custkey", right_on="c_custkey")
    part = t.part[t.part.p_type == "ECONOMY ANODIZED STEEL"]
    supplier = t.supplier.merge(t.nation, left_on="s_nationkey", right_on="n_nationkey")
    df = t.lineitem.merge(part, left_on="l_partkey", right_on="p_partkey")
    df = df.merge(orders, left_on="l_orderkey", right_on="o_orderkey")
    df = df.merge(supplier, left_on="l_suppkey", right_on="s_suppkey")
    df = df.assign(o_year=df.o_orderdate.dt.year, volume=df.l_extendedprice * (1 - df.l_discount))
    df = df.assign(brazil=df.volume.where(df.n_name == "BRAZIL", 0.0))
    df = df.groupby("o_year")[["brazil", "volume"]].sum().reset_index()
    df = df.assign(mkt_share=df.brazil / df.volume)
    return df[["o_year", "mkt_share"]].sort_values("o_year")


def q9(t):
    part = t.part[t.part.p_name.str.contains("green", regex=False)]
    supplier = t.supplier.merge(t.nation, left_on="s_nationkey", right_on="n_nationkey")
    df = t.lineitem.merge(part, left_on="l_partkey", right_on="p_partkey")
    df = df.merge(t.partsupp, left_on=["l_partkey", "l_suppkey"], right_on=["ps_partkey", "ps_suppkey"])
    df = df.merge(supplier, left_on="l_suppkey", right_on="s_suppkey")
    df = df.merge(t.orders, left_on="l_orderkey", right_on="o_orderkey")
    df = df.assign(
        o_year=df.o_orderdate.dt.year,
        amount=df.l_extendedprice * (1 - df.l_discount) - df.ps_supplycost * df.l_quantity,
    )
    df = df.groupby(["n_name", "o_year"]).amount.sum().reset_index().compute()
    return df.sort_values(["n_name", "o_year"], ascending=[True, False])


def q10(t):
    orders = t.orders
    orders = orders[(orders.o_orderdate >= date(1993, 10, 1)) & (orders.o_orderdate < date(1994, 1, 1))]
    lineitem = t.lineitem[t.lineitem.l_returnflag == "R"]
    df = lineitem.merge(orders, left_on="l_orderkey", right_on="o_orderkey")
    df = df.assign(revenue=df.l_extendedprice * (1 - df.l_discount))
    df = df.groupby("o_custkey").revenue.sum().reset_index()
    df = df.merge(t.customer, left_on="o_custkey", right_on="c_custkey")
    df = df.merge(t.nation, left_on="c_nationkey", right_on="n_nationkey")
    columns = ["c_custkey", "c_name", "revenue", "c_acctbal", "n_name", "c_address", "c_phone", "c_comment"]
    return df[columns].compute().sort_values("revenue", ascending=False).head(20)


def q11(t):
    germany = t.nation[t.nation.n_name == "GERMANY"]
    supplier = t.supplier.merge(germany, left_on="s_nationkey", right_on="n_nationkey")
    df = t.partsupp.merge(supplier, left_on="ps_suppkey", right_on="s_suppkey")
    df = df.assign(value=df.ps_supplycost * df.ps_availqty)
    limit = df.value.sum() * 0.0001 / t.scale
    df = df.groupby("ps_partkey").value.sum().reset_index()
    return df[df.value > limit].compute().sort_values("value", ascending=False)


def q12(t):
    df = t.lineitem
    df = df[df.l_shipmode.isin(["MAIL", "SHIP"]) & (df.l_commitdate < df.l_receiptdate)]
    df = df[df.l_shipdate < df.l_commitdate]
    df = df[(df.l_receiptdate >= date(1994, 1, 1)) & (df.l_receiptdate < date(1995, 1, 1))]
    df = df.merge(t.orders, left_on="l_orderkey", right_on="o_orderkey")
    high = df.o_orderpriority.isin(["1-URGENT", "2-HIGH"])
    df = df.assign(high_line_count=high.astype("int64"), low_line_count=(~high).astype("int64"))
    df = df.groupby("l_shipmode")[["high_line_count", "low_line_count"]].sum().reset_index()
    return df.sort_values("l_shipmode")


def q13(t):
    orders = t.orders[~t.orders.o_comment.str.contains("special.*requests")]
    df = t.customer.merge(orders, left_on="c_custkey", right_on="o_custkey", how="left")
    df = df.groupby("c_custkey").o_orderkey.count().reset_index()
    df = df.groupby("o_orderkey").c_custkey.count().reset_index()
    df = df.rename(columns={"o_orderkey": "c_count", "c_custkey": "custdist"}).compute()
    return df.sort_values(["custdist", "c_count"], ascending=[False, False])


def q14(t):
    df = t.lineitem
    df = df[(df.l_shipdate >= date(1995, 9, 1)) & (df.l_shipdate < date(1995, 10, 1))]
    df = df.merge(t.part, left_on="l_partkey", right_on="p_partkey")
    df = df.assign(revenue=df.l_extendedprice * (1 - df.l_discount))
    promo = df.revenue.where(df.p_type.str.startswith("PROMO"), 0.0)
    return 100.0 * promo.sum() / df.revenue.sum()


def q15(t):
    df = t.lineitem
    df = df[(df.l_shipdate >= date(1996, 1, 1)) & (df.l_shipdate < date(1996, 4, 1))]
    df = df.assign(total_revenue=df.l_extendedprice * (1 - df.l_discount))
    df = df.groupby("l_suppkey").total_revenue.sum().round(2).reset_index()
    df = df[df.total_revenue == df.total_revenue.max()]
    df = t.supplier.merge(df, left_on="s_suppkey", right_on="l_suppkey")
    columns = ["s_suppkey", "s_name", "s_address", "s_phone", "total_revenue"]
    return df[columns].compute().sort_values("s_suppkey")


def q16(t):
    part = t.part
    part = part[(part.p_brand != "Brand#45") & ~part.p_type.str.startswith("MEDIUM POLISHED")]
    part = part[part.p_size.isin([49, 14, 23, 45, 19, 3, 36, 9])]
    bad = t.supplier[t.supplier.s_comment.str.contains("Customer.*Complaints")]
    df = t.partsupp.merge(part, left_on="ps_partkey", right_on="p_partkey")
    df = df.merge(bad[["s_suppkey"]], left_on="ps_suppkey", right_on="s_suppkey", how="left")
    df = df[df.s_suppkey.isna()]
    keys = ["p_brand", "p_type", "p_size"]
    df = df.groupby(keys).ps_suppkey.nunique().reset_index().rename(columns={"ps_suppkey": "supplier_cnt"})
    return df.compute().sort_values(["supplier_cnt", *keys], ascending=[False, True, True, True])


def q17(t):
    part = t.part[(t.part.p_brand == "Brand#23") & (t.part.p_container == "MED BOX")]
    df = t.lineitem.merge(part, left_on="l_partkey", right_on="p_partkey")
    mean = df.groupby("l_partkey").l_quantity.mean().reset_index()
    df = df.merge(mean.rename(columns={"l_quantity": "avg_quantity"}), on="l_partkey")
    df = df[df.l_quantity < 0.2 * df.avg_quantity]
    return df.l_extendedprice.sum() / 7.0


def q18(t):
    large = t.lineitem.groupby("l_orderkey").l_quantity.sum().reset_index()
    large = large[large.l_quantity > 300].rename(columns={"l_quantity": "sum_quantity"})
    df = t.orders.merge(large, left_on="o_orderkey", right_on="l_orderkey")
    df = df.merge(t.customer, left_on="o_custkey", right_on="c_custkey")
    columns = ["c_name", "c_custkey", "o_orderkey", "o_orderdate", "o_totalprice", "sum_quantity"]
    df = df[columns].compute()
    return df.sort_values(["o_totalprice", "o_orderdate"], ascending=[False, True]).head(100)


def q19(t):
    df = t.lineitem
    df = df[df.l_shipmode.isin(["AIR", "AIR REG"]) & (df.l_shipinstruct == "DELIVER IN PERSON")]
    df = df.merge(t.part, left_on="l_partkey", right_on="p_partkey")

    def kind(brand, containers, low, size):
        return (
            (df.p_brand == brand)
            & df.p_container.isin(containers)
            & (df.l_quantity >= low)
            & (df.l_quantity <= low + 10)
            & (df.p_size >= 1)
            & (df.p_size <= size)
        )

    df = df[
        kind("Brand#12", ["SM CASE", "SM BOX", "SM PACK", "SM PKG"], 1, 5)
        | kind("Brand#23", ["MED BAG", "MED BOX", "MED PKG", "MED PACK"], 10, 10)
        | kind("Brand#34", ["LG CASE", "LG BOX", "LG PACK", "LG PKG"], 20, 15)
    ]
    return (df.l_extendedprice * (1 - df.l_discount)).sum()


def q20(t):
    part = t.part[t.part.p_name.str.startswith("forest")][["p_partkey"]]
    df = t.lineitem
    df = df[(df.l_shipdate >= date(1994, 1, 1)) & (df.l_shipdate < date(1995, 1, 1))]
    df = df.merge(part, left_on="l_partkey", right_on="p_partkey", how="leftsemi")
    shipped = df.groupby(["l_partkey", "l_suppkey"]).l_quantity.sum().reset_index()
    df = t.partsupp.merge(shipped, left_on=["ps_partkey", "ps_suppkey"], right_on=["l_partkey", "l_suppkey"])
    df = df[df.ps_availqty > 0.5 * df.l_quantity]
    canada = t.nation[t.nation.n_name == "CANADA"]
    supplier = t.supplier.merge(canada, left_on="s_nationkey", right_on="n_nationkey")
    df = supplier.merge(df[["ps_suppkey"]], left_on="s_suppkey", right_on="ps_suppkey", how="leftsemi")
    return df[["s_name", "s_address"]].compute().sort_values("s_name")


def q21(t):
    late = t.lineitem[t.lineitem.l_receiptdate > t.lineitem.l_commitdate]
    suppliers = t.lineitem.groupby("l_orderkey").l_suppkey.nunique().reset_index()
    suppliers = suppliers[suppliers.l_suppkey > 1].rename(columns={"l_suppkey": "all_suppliers"})
    at_fault = late.groupby("l_orderkey").l_suppkey.nunique().reset_index()
    at_fault = at_fault[at_fault.l_suppkey == 1].rename(columns={"l_suppkey": "late_suppliers"})
    saudi = t.nation[t.nation.n_name == "SAUDI ARABIA"]
    supplier = t.supplier.merge(saudi, left_on="s_nationkey", right_on="n_nationkey")
    orders = t.orders[t.orders.o_orderstatus == "F"][["o_orderkey"]]
    df = late.merge(supplier, left_on="l_suppkey", right_on="s_suppkey")
    df = df.merge(orders, left_on="l_orderkey", right_on="o_orderkey")
    df = df.merge(suppliers, on="l_orderkey").merge(at_fault, on="l_orderkey")
    df = df.groupby("s_name").l_orderkey.count().reset_index().rename(columns={"l_orderkey": "numwait"})
    return df.compute().sort_values(["numwait", "s_name"], ascending=[False, True]).head(100)


def q22(t):
    df = t.customer
    df = df.assign(cntrycode=df.c_phone.str[:2])
    df = df[df.cntrycode.isin(["13", "31", "23", "29", "30", "18", "17"])]
    mean = df[df.c_acctbal > 0].c_acctbal.mean()
    df = df[df.c_acctbal > mean]
    df = df.merge(t.orders[["o_custkey"]], left_on="c_custkey", right_on="o_custkey", how="left")
    df = df[df.o_custkey.isna()]
    df = df.groupby("cntrycode").agg(numcust=("c_acctbal", "count"), totacctbal=("c_acctbal", "sum"))
    return df.reset_index().sort_values("cntrycode")


QUERIES = {f"q{i}": globals()[f"q{i}"] for i in range(1, 23)}
