//! What the parser accepts, what it refuses and in which words, and that printing is its inverse.

mod support;

use proptest::prelude::*;
use support::expressions::expression;
use weir_promql::ast::{Expr, Node, ValueType};
use weir_promql::{MAX_DEPTH, MAX_QUERY_BYTES, parse, parse_selector};

/// Text, canonical form.
const ACCEPTED: &[(&str, &str)] = &[
    ("1", "1"),
    (" - 0x1F ", "-31"),
    ("010 + 1_000", "8 + 1000"),
    ("5m", "300"),
    ("inf", "+Inf"),
    ("-NaN", "NaN"),
    ("\"a\\tb\\u00e9\"", "\"a\\tb\u{e9}\""),
    ("'it\\'s'", "\"it's\""),
    ("`raw\\n`", "\"raw\\\\n\""),
    ("up", "up"),
    ("up{}", "up"),
    ("a:b", "a:b"),
    ("up # a comment\n + 1", "up + 1"),
    ("foo{b=\"c\",a!=\"d\",e=~\"f.*\",g!~\"h\",}", "foo{a!=\"d\",b=\"c\",e=~\"f.*\",g!~\"h\"}"),
    ("{\"my.metric\", \"label.name\"='x'}", "{\"label.name\"=\"x\",__name__=\"my.metric\"}"),
    ("{on='x', by=\"y\", sum!=''}", "{by=\"y\",on=\"x\",sum!=\"\"}"),
    ("sum", "sum"),
    ("offset", "offset"),
    ("sum{a='b'} offset 5m", "sum{a=\"b\"} offset 5m"),
    ("start + end", "start + end"),
    ("fill + fill", "fill + fill"),
    ("1 + 2 * 3 ^ 4 ^ 5", "1 + 2 * 3 ^ 4 ^ 5"),
    ("-a ^ 2", "-a ^ 2"),
    ("+a", "a"),
    ("- - 1", "1"),
    ("a == bool b", "a == bool b"),
    ("a and on() b", "a and on () b"),
    ("a or ignoring() b", "a or b"),
    ("a / ignoring(x) group_left(y, \"z.z\") b", "a / ignoring (x) group_left (y, \"z.z\") b"),
    ("a * on(x) group_right b", "a * on (x) group_right () b"),
    ("a + fill(0) b", "a + fill (0) b"),
    ("a + on(x) fill_right(-1) fill_left(2) b", "a + on (x) fill_left (2) fill_right (-1) b"),
    ("a atan2 b </ 1 >/ 2", "a atan2 b </ 1 >/ 2"),
    ("SUM BY (job, le,) (a)", "sum by (job, le) (a)"),
    ("sum(a) without ()", "sum without () (a)"),
    ("sum by () (a)", "sum(a)"),
    ("topk(5, a)", "topk(5, a)"),
    ("count_values without (x) ('v', a)", "count_values without (x) (\"v\", a)"),
    ("limit_ratio(-0.5, a)", "limit_ratio(-0.5, a)"),
    ("rate(a[1h30m])", "rate(a[1h30m])"),
    ("a[300] offset -90", "a[5m] offset -1m30s"),
    ("a @ 1609746000 offset 1w", "a @ 1609746000.000 offset 1w"),
    ("a[5m] @ start() offset 1d", "a[5m] @ start() offset 1d"),
    ("a offset 0s", "a"),
    ("a @ -1.5", "a @ -1.500"),
    ("rate(a[5m] anchored) + rate(a[5m] smoothed)", "rate(a[5m] anchored) + rate(a[5m] smoothed)"),
    ("a @ end()[5m]", "a[5m] @ end()"),
    ("sum(rate(a[5m]))[1h:] @ end()", "sum(rate(a[5m]))[1h:] @ end()"),
    ("(a + b)[1h:30s] offset 1m", "(a + b)[1h:30s] offset 1m"),
    ("a[5m + 2 * step()]", "a[5m + 2 * step()]"),
    ("a[(5m + 2) * -range() % 3]", "a[(5m + 2) * (-range()) % 3]"),
    ("a[min_of(5m, MAX_OF(step(), 1s))]", "a[min_of(5m, max_of(step(), 1s))]"),
    ("a offset (1h / 2)", "a offset (1h / 2)"),
    ("a offset 1h + 2", "a offset 1h + 2"),
    ("a offset (1h) + 2", "a offset 1h + 2"),
    ("a offset (1h) + b", "a offset 1h + b"),
    ("a offset -2 ^ 2", "a offset -2s ^ 2"),
    ("time() - start()", "time() - start()"),
    ("hour()", "hour()"),
    ("round(a, 0.5)", "round(a, 0.5)"),
    ("label_join(a, 'b', ',', 'c', 'd', 'e')", "label_join(a, \"b\", \",\", \"c\", \"d\", \"e\")"),
    ("info(a, {x=~'.*'})", "info(a, {x=~\".*\"})"),
    ("distinct_over_time(users[1d])", "distinct_over_time(users[1d])"),
    ("1 == bool 2", "1 == bool 2"),
];

#[test]
fn accepted_texts_print_in_canonical_form() {
    let broken: Vec<String> = ACCEPTED
        .iter()
        .filter_map(|(text, want)| match parse(text) {
            Err(error) => Some(format!("{text}: {error}")),
            Ok(expr) if expr.to_string() != *want => Some(format!("{text}: {expr}, not {want}")),
            Ok(expr) => match parse(want) {
                Ok(again) if again.to_string() == expr.to_string() => None,
                other => Some(format!("{want}: {other:?}")),
            },
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Text, part of the message.
const REFUSED: &[(&str, &str)] = &[
    ("", "1:1: parse error: no expression found in input"),
    ("# nothing", "no expression found in input"),
    ("1 +", "1:4: parse error: unexpected end of input"),
    ("a b", "1:3: parse error: unexpected identifier \"b\""),
    ("a +\n  )", "2:3: parse error: unexpected right parenthesis ')'"),
    ("(1", "unclosed left parenthesis"),
    ("a[5m", "unclosed left bracket"),
    ("a]", "unexpected right bracket ']'"),
    ("a{", "unexpected end of input inside braces"),
    ("a{b", "unexpected end of input inside braces"),
    ("a{b}", "unexpected \"}\" in label matching, expected label matching operator"),
    ("a{b=}", "unexpected \"}\" in label matching, expected string"),
    ("a{b=\"c\" d=\"e\"}", "unexpected identifier \"d\" in label matching, expected \",\" or \"}\""),
    ("a{,}", "unexpected \",\" in label matching, expected identifier or \"}\""),
    ("a{b==\"c\"}", "unexpected \"=\" in label matching, expected string"),
    ("a{b=~\"(\"}", "bad regular expression \"(\" for label \"b\""),
    ("a{__name__=\"b\"}", "metric name must not be set twice: \"a\" or \"b\""),
    ("a{\"b\"}", "metric name must not be set twice"),
    ("{}", "vector selector must contain at least one non-empty matcher"),
    ("{x=~\".*\"}", "vector selector must contain at least one non-empty matcher"),
    ("{x!=\"y\"}", "vector selector must contain at least one non-empty matcher"),
    ("1 and a", "set operator \"and\" not allowed in binary scalar expression"),
    ("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
    ("a + bool b", "bool modifier can only be used on comparison operators"),
    ("a + on(x) 1", "vector matching only allowed between instant vectors"),
    ("a and on(x) group_left b", "no grouping allowed for \"and\" operation"),
    ("a or fill(1) b", "filling in missing series not allowed for set operators"),
    ("1 + fill(1) b", "filling in missing series only allowed between instant vectors"),
    ("a * on(x) group_left(x) b", "label \"x\" must not occur in ON and GROUP clause at once"),
    ("a * group_left b", "unexpected <group_left>"),
    ("a + on b", "unexpected identifier \"b\" in grouping opts, expected \"(\""),
    ("sum by (1) (a)", "unexpected number \"1\" in grouping opts, expected label"),
    ("sum by (a b) (a)", "unexpected identifier \"b\" in grouping opts, expected \",\" or \")\""),
    ("sum(a, b)", "wrong number of arguments for aggregate expression provided, expected 1, got 2"),
    ("topk(a)", "wrong number of arguments for aggregate expression provided, expected 2, got 1"),
    ("sum()", "no arguments for aggregate expression provided"),
    ("sum(1)", "expected type instant vector in aggregation expression, got scalar"),
    ("topk(a, a)", "expected type scalar in aggregation parameter, got instant vector"),
    ("count_values(1, a)", "expected type string in aggregation parameter, got scalar"),
    ("sum(a b)", "unexpected identifier \"b\" in aggregation"),
    ("sum by (x)", "unexpected end of input in aggregation"),
    ("rates(a[5m])", "1:1: parse error: unknown function with name \"rates\""),
    ("Rate(a[5m])", "unknown function with name \"Rate\""),
    (
        "rate(a)",
        "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector",
    ),
    ("rate()", "expected 1 argument(s) in call to \"rate\", got 0"),
    ("clamp(a, 1)", "expected 3 argument(s) in call to \"clamp\", got 2"),
    ("round(a, 1, 2)", "expected at most 2 argument(s) in call to \"round\", got 3"),
    ("label_join(a, 'b')", "expected at least 3 argument(s) in call to \"label_join\", got 2"),
    ("rate(a[5m],)", "trailing commas not allowed in function call args"),
    ("info(a, b)", "expected label selectors only, got vector selector instead"),
    (
        "-\"a\"",
        "unary expression only allowed on expressions of type scalar or instant vector, got \"string\"",
    ),
    ("-a[5m]", "got \"range vector\""),
    ("a[5m] + 1", "binary expression must contain only scalar and instant vector types"),
    ("a[0]", "duration must be greater than 0"),
    ("a[-5m]", "duration must be greater than 0"),
    ("a[5m:0s]", "duration must be greater than 0"),
    ("a[5m5m]", "not a valid duration string: \"5m5m\""),
    ("a[5hs]", "unknown unit \"hs\" in duration \"5hs\""),
    ("a[300y]", "duration out of range"),
    ("a[1e100]", "duration out of range"),
    ("a[5m / 0]", "division by zero"),
    ("a[5m % 0]", "modulo by zero"),
    ("a[]", "unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()"),
    ("a[b]", "unexpected character in duration expression: 'b'"),
    ("a[5m b]", "unexpected character: 'b', expected ':'"),
    ("a[5m:1m:1m]", "unexpected colon ':'"),
    ("1[5m]", "ranges only allowed for vector selectors"),
    ("a[5m][5m]", "ranges only allowed for vector selectors"),
    ("a offset 5m [5m]", "no offset modifiers allowed before range"),
    ("a @ 1 [5m]", "no @ modifiers allowed before range"),
    ("a[5m][1h:]", "subquery is only allowed on instant vector, got matrix instead"),
    ("1[1h:]", "subquery is only allowed on instant vector, got scalar instead"),
    ("a offset", "unexpected end of input in offset, expected number, duration, step(), or range()"),
    ("a offset 5m offset 5m", "offset may not be set multiple times"),
    ("1 offset 5m", "offset modifier must be preceded by an instant vector selector"),
    ("(a) offset 5m", "offset modifier must be preceded by an instant vector selector"),
    ("a @ b", "unexpected identifier \"b\" in @, expected timestamp"),
    ("a @ inf", "timestamp out of bounds for @ modifier: +Inf"),
    ("a @ 1e99", "timestamp out of bounds"),
    ("a @ 1 @ 2", "@ <timestamp> may not be set multiple times"),
    ("1 @ 1", "@ modifier must be preceded by an instant vector selector"),
    ("a anchored smoothed", "anchored and smoothed modifiers cannot be used together"),
    ("a[1h:] anchored", "anchored modifier is not supported for subqueries"),
    ("1 smoothed", "smoothed modifier not implemented"),
    ("1x", "bad number or duration syntax: \"1\""),
    ("2.5.", "bad number or duration syntax: \"2.5.\""),
    ("1e999", "value out of range"),
    ("\"abc", "unterminated quoted string"),
    ("`abc", "unterminated raw string"),
    ("\"\\q\"", "unknown escape sequence U+0071 'q'"),
    ("\"\\xzz\"", "illegal character U+007A 'z' in escape sequence"),
    ("\"\\ud800\"", "escape sequence is an invalid Unicode code point"),
    ("\"\\xff\"", "not UTF-8"),
    ("a ! b", "unexpected character after '!': ' '"),
    ("a =~ b", "unexpected character after '=': '~'"),
    ("a ; b", "unexpected character: ';'"),
    ("\u{e9}", "unexpected character: '\u{e9}'"),
];

#[test]
fn refused_texts_say_why() {
    let broken: Vec<String> = REFUSED
        .iter()
        .filter_map(|(text, want)| match parse(text) {
            Ok(expr) => Some(format!("{text}: parsed as {expr}")),
            Err(error) if !error.to_string().contains(want) => Some(format!("{text}: {error}, not {want}")),
            Err(_) => None,
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn syntax_errors_come_before_type_errors() {
    assert_eq!(parse("1 == 1 )").unwrap_err().message, "unexpected right parenthesis ')'");
    let error = parse("rate(sum(1), 2)").unwrap_err();
    assert_eq!(error.message, "expected 1 argument(s) in call to \"rate\", got 2", "the count comes first");
}

#[test]
fn length_and_nesting_are_bounded_and_within_the_bounds_nothing_overflows() {
    let deep = usize::from(MAX_DEPTH);
    let nested = |open: &str, core: &str, close: &str, times: usize| {
        format!("{}{core}{}", open.repeat(times), close.repeat(times))
    };
    // Just within the bound, on the small stack of a test thread; printing and dropping walk the tree too.
    let within = [
        nested("(", "1", ")", deep - 1),
        nested("-", "a", "", deep - 1),
        nested("sum by (x) (", "a", ")", deep - 1),
        nested("1 + (", "a", ")", deep / 2 - 1),
        nested("a ^ ", "a", "", deep - 1),
        nested("", "a", " + a", deep - 1),
        nested("", "a", "[1h:]", 1),
        format!("a[{}]", nested("(", "5m", ")", deep - 2)),
        format!("a[5m{}]", " + 5m".repeat(deep - 2)),
        format!("a offset -({}5m{})", "-step() + (".repeat(deep / 2 - 2), ")".repeat(deep / 2 - 2)),
    ];
    for text in within {
        let expr = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(parse(&expr.to_string()).map(|e| e.to_string()), Ok(expr.to_string()));
    }
    const TOO_DEEP: &str = "nests deeper than 200 levels";
    for (open, core, close, want) in [
        ("(", "1", ")", TOO_DEEP),
        ("-", "a", "", TOO_DEEP),
        ("sum(", "a", ")", TOO_DEEP),
        ("abs(", "a", ")", TOO_DEEP),
        ("a ^ ", "a", "", TOO_DEEP),
        ("", "a", " + a", TOO_DEEP),
        ("a[", "5m", "]", "unexpected character in duration expression: 'a'"),
        ("a[(", "5m", ")]", "unexpected character in duration expression: 'a'"),
        ("a offset ((", "5m", ") + 1 + 1 + 1 + 1)", "unexpected identifier"),
        ("a offset ((", "5m", "", "unexpected identifier"),
        ("", "a", "[1h:]", TOO_DEEP),
        ("", "a[5m]", " offset 1m", "offset may not be set multiple times"),
        ("max by (x) (1 + -", "a", ")", TOO_DEEP),
    ] {
        let message = parse(&nested(open, core, close, 2000)).unwrap_err().message;
        assert!(message.contains(want), "{open}: {message}");
    }
    let deep_duration = format!("a[{}1{}]", "-(".repeat(500), " + 1)".repeat(500));
    assert!(parse(&deep_duration).unwrap_err().message.contains(TOO_DEEP));
    let long_duration = format!("a[1{}]", " + 1".repeat(500));
    assert!(parse(&long_duration).unwrap_err().message.contains(TOO_DEEP));
    let message = parse(&"(".repeat(MAX_QUERY_BYTES)).unwrap_err().message;
    assert_eq!(message, "expression nests deeper than 200 levels");
    let message = parse(&" ".repeat(MAX_QUERY_BYTES + 1)).unwrap_err().message;
    assert_eq!(message, "query of 65537 bytes is longer than 65536 bytes");
    let patterns = format!("{{{}}}", "a=~\"b.c\",".repeat(101));
    assert!(parse(&patterns).unwrap_err().message.contains("more than 100 regular expressions"));
}

#[test]
fn every_node_knows_its_place() {
    let text = "sum by (x) (rate(a{b=\"c\"}[5m] offset 1m)) / on(x) -b";
    let expr = parse(text).unwrap();
    let of = |e: &Expr| &text[e.position.start as usize..e.position.end as usize];
    assert_eq!(of(&expr), text);
    let Node::Binary(binary) = &expr.node else { panic!("{expr}") };
    assert_eq!(of(&binary.left), "sum by (x) (rate(a{b=\"c\"}[5m] offset 1m))");
    assert_eq!(of(&binary.right), "-b");
    let Node::Aggregate(aggregate) = &binary.left.node else { panic!("{}", binary.left) };
    assert_eq!(of(&aggregate.expr), "rate(a{b=\"c\"}[5m] offset 1m)");
    let Node::Call(call) = &aggregate.expr.node else { panic!("{}", aggregate.expr) };
    assert_eq!(of(&call.args[0]), "a{b=\"c\"}[5m] offset 1m");
    assert_eq!(expr.value_type(), ValueType::Vector);
    assert_eq!(parse("1 + 2").unwrap().value_type(), ValueType::Scalar);
}

#[test]
fn selectors_parse_alone() {
    assert_eq!(parse_selector("up{a=\"b\"}").unwrap().to_string(), "up{a=\"b\"}");
    assert_eq!(parse_selector("{\"up\"}").unwrap().matchers.len(), 1);
    for text in ["up[5m]", "up offset 5m", "rate(up[5m])", "{}", "1", ""] {
        assert!(parse_selector(text).is_err(), "{text}");
    }
}

/// Removes what printing cannot keep.
fn without_positions(text: &str) -> Result<Expr, String> {
    let mut expr = parse(text).map_err(|error| format!("{text}: {error}"))?;
    support::expressions::forget_positions(&mut expr);
    Ok(expr)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn printing_and_parsing_give_the_same_tree(expr in expression()) {
        prop_assert_eq!(without_positions(&expr.to_string()), Ok(expr));
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,80}") {
        if let Ok(expr) = parse(&text) {
            prop_assert!(parse(&expr.to_string()).is_ok(), "{}", expr);
        }
    }

    #[test]
    fn token_soup_never_panics_and_what_parses_prints_back(tokens in prop::collection::vec(token(), 0..20)) {
        let text = tokens.join(" ");
        if let Ok(expr) = parse(&text) {
            let printed = expr.to_string();
            prop_assert_eq!(parse(&printed).map(|e| e.to_string()), Ok(printed));
        }
    }
}

fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b",
        "foo:bar",
        "1",
        "2.5",
        "0x1f",
        "inf",
        "5m",
        "1h30m",
        "\"x\"",
        "'y'",
        "`z`",
        "(",
        ")",
        "(",
        ")",
        "{",
        "}",
        "{a=\"b\"}",
        "[5m]",
        "[1h:]",
        "[",
        "]",
        ",",
        ":",
        "=",
        "=~",
        "!~",
        "@",
        "@ 1",
        "@ start()",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "</",
        ">/",
        "and",
        "or",
        "unless",
        "atan2",
        "bool",
        "on (a)",
        "ignoring (b)",
        "group_left",
        "group_right (c)",
        "fill (1)",
        "fill_left (2)",
        "offset",
        "offset 5m",
        "offset -(1m + step())",
        "anchored",
        "smoothed",
        "by (a)",
        "without (b)",
        "sum",
        "sum (a)",
        "topk (1, a)",
        "count_values",
        "rate (a[5m])",
        "abs",
        "time ()",
        "step ()",
        "range ()",
        "min_of (1, 2)",
        "start",
        "end ()",
    ])
}
