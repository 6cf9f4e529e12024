//! Random well-typed expressions over a little data: the engine answers or refuses, and never panics.

mod support;

use proptest::prelude::*;
use support::expressions::expression;
use weir_promql::memory::MemoryStorage;
use weir_promql::{Limits, Query, evaluate};

fn storage() -> MemoryStorage {
    let mut storage = MemoryStorage::new();
    let block = "a{a=\"x\",le=\"1\"} 1+1x20 stale 5\na{a=\"y\",le=\"+Inf\"} 2+2x20 NaN Inf\n\
                 b{a=\"x\"} _x3 -5-3x9\nh{a=\"x\"} {{schema:0 count:3 sum:2 buckets:[1 2]}}+{{count:1 sum:1 buckets:[1]}}x20\n\
                 h{a=\"z\"} {{schema:-53 count:3 sum:2 custom_values:[1 5] buckets:[1 2]}}x20\n\
                 h{a=\"y\"} 1 2 {{schema:2 count:1 sum:2 z_bucket:1 z_bucket_w:0.1}} 4";
    storage.load(60_000, block).unwrap_or_else(|error| panic!("{error}"));
    storage
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn random_expressions_never_panic(
        expr in expression(),
        start in prop_oneof![Just(0i64), Just(600_000), -10_000_000_000_000i64..10_000_000_000_000],
        steps in 0i64..20,
        step in prop_oneof![Just(0i64), Just(1), Just(60_000), 1i64..10_000_000_000],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let text = expr.to_string();
        let query = Query::range(expr, &text, start, start + steps * step, step);
        let limits = Limits { max_samples: 100_000, max_result_points: 100_000, max_points_per_series: 1_000, threads: 2, ..Limits::default() };
        let _ = runtime.block_on(evaluate(&storage(), &query, &limits));
    }
}
