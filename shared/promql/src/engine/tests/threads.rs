//! Answers do not depend on the number of threads, not even in their last digits.

use super::{loaded, run};
use crate::{Limits, Query, Value};

#[test]
fn any_number_of_threads_gives_the_same_answer() {
    let lines: Vec<String> = (0..900u32)
        .map(|i| {
            let (group, step) = (i % 7, f64::from(i % 13).mul_add(0.37, 0.1));
            format!("m_total{{i=\"{i}\", g=\"{group}\"}} {step}+{step}x60")
        })
        .collect();
    let storage = loaded(&lines.join("\n"));
    for text in [
        "sum by (g) (rate(m_total[1m]))",
        "avg(m_total * 0.3)",
        "stddev by (g) (m_total)",
        "max(m_total)",
        "topk(5, m_total)",
        "quantile by (g) (0.9, m_total)",
        "count by (g) (m_total > 10)",
        "m_total / on(i) m_total",
        "scalar(sum(m_total))",
        "absent(m_total)",
    ] {
        let query = Query::range(crate::parse(text).unwrap(), text, 0, 600_000, 30_000);
        let values: Vec<Value> = [1, 2, 5]
            .map(|threads| run(&storage, &query, &Limits { threads, ..Limits::default() }).unwrap().value)
            .into();
        assert_eq!(format!("{:?}", values[0]), format!("{:?}", values[1]), "{text}");
        assert_eq!(format!("{:?}", values[0]), format!("{:?}", values[2]), "{text}");
    }
}
