//! The parser's table of functions and operators, and the engine, know the same language.

use weir_promql::ast::{AggregateOp, ValueType};
use weir_promql::functions_table::FUNCTIONS;
use weir_promql::memory::MemoryStorage;
use weir_promql::{Answer, Limits, MAX_DEPTH, Query, QueryError, evaluate, parse};

fn storage() -> MemoryStorage {
    let mut storage = MemoryStorage::new();
    let block = "m{a=\"x\",le=\"1\"} 1+1x20\nm{a=\"x\",le=\"+Inf\"} 2+2x20\n\
                 target_info{a=\"x\",job=\"j\",instance=\"i\"} 1x20";
    storage.load(60_000, block).unwrap_or_else(|error| panic!("{error}"));
    storage
}

async fn ask(storage: &MemoryStorage, text: &str) -> Result<Answer, QueryError> {
    let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    evaluate(storage, &Query::range(expr, text, 600_000, 900_000, 60_000), &Limits::default()).await
}

#[tokio::test]
async fn every_function_of_the_table_is_evaluated() {
    let storage = storage();
    let mut broken = Vec::new();
    for function in FUNCTIONS {
        let argument = |index: usize| match (function.name, index, function.arg_type(index)) {
            ("info", 1, _) => "{data=~\".*\"}".to_owned(),
            ("label_replace", 4, _) => "\"(.*)\"".to_owned(),
            (_, _, Some(ValueType::Scalar)) => format!("0.{}", index + 1),
            (_, _, Some(ValueType::String)) => "\"b\"".to_owned(),
            (_, _, Some(ValueType::Matrix)) => "m[5m]".to_owned(),
            _ => "m".to_owned(),
        };
        for count in function.min_args()..=function.max_args().unwrap_or(function.min_args() + 2) {
            let args: Vec<String> = (0..count).map(argument).collect();
            let text = format!("{}({})", function.name, args.join(", "));
            if let Err(error) = ask(&storage, &text).await {
                broken.push(format!("{text}: {error}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn every_aggregation_is_evaluated() {
    let storage = storage();
    for (op, name) in AggregateOp::ALL {
        let param = match op.param_type() {
            None => "",
            Some(ValueType::String) => "\"b\", ",
            Some(_) => "0.5, ",
        };
        for text in [format!("{name} by (a) ({param}m)"), format!("{name} without (a) ({param}rate(m[5m]))")]
        {
            ask(&storage, &text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }
}

#[tokio::test]
async fn the_deepest_accepted_expressions_fit_the_stack_of_a_worker_thread() {
    // Enough series that several threads share them.
    let mut storage = storage();
    let block: String = (0..300).map(|i| format!("n{{a=\"{i}\"}} 1+{i}x20\n")).collect();
    storage.load(60_000, &block).unwrap_or_else(|error| panic!("{error}"));
    let forms = [
        ("(", ")", 1),
        ("sum(", ")", 1),
        ("abs(", ")", 1),
        ("-", "", 1),
        ("1 + (", ")", 2),
        ("2 * ", "", 1),
        ("", " + n", 1),
        ("", " or n", 1),
        ("topk by (a) (3, ", ")", 1),
        ("quantile by (a) (0.5, ", ")", 1),
        ("count_values without (b) (\"c\", ", ")", 1),
        ("label_replace(", ", \"b\", \"$1\", \"a\", \"(.*)\")", 1),
        ("histogram_quantile(0.5, ", ")", 1),
        ("sort(", ")", 1),
        ("absent(", ")", 1),
        ("vector(scalar(", "))", 2),
        ("last_over_time((", ")[1m:1m])", 3),
        ("info(", ")", 1),
        ("clamp(", ", 0, 1)", 1),
    ];
    for (open, close, levels) in forms {
        let times = usize::from(MAX_DEPTH) / levels - 1;
        let text = format!("{}n{}", open.repeat(times), close.repeat(times));
        ask(&storage, &text).await.unwrap_or_else(|error| panic!("{open}n{close}: {error}"));
    }
}
