//! Random PromQL out of a grammar: a table of productions, expanded from `{query}` on.
//!
//! What the grammar does not make is listed, with the reason, at the head of main.rs.

use weir_tests::Random;

/// Nested productions; below, only leaves are chosen.
const DEPTH: usize = 3;

/// A nonterminal's productions, each as often as it stands here. Braces name nonterminals.
type Rule = (&'static str, &'static [&'static str]);

const RULES: &[Rule] = &[
    (
        "query",
        &[
            "{v}",
            "{v}",
            "{v}",
            "{v}",
            "{v}",
            "{v}",
            "{v}",
            "{native}",
            "{named}",
            "{ordered}",
            "{s}",
            "{wrong}",
        ],
    ),
    ("named", &["{operator} by (__name__, job) ({any}{mod})"]),
    // Instant vectors. Those of {leaf} have no vector inside.
    (
        "v",
        &[
            "{leaf}",
            "{leaf}",
            "{aggregate}",
            "{aggregate}",
            "{aggregate}",
            "{binary}",
            "{binary}",
            "{binary}",
            "{set}",
            "{subquery}",
            "{subquery}",
            "{map}",
            "{map}",
            "{labelled}",
            "{absence}",
            "{classic}",
            "({v})",
            "-{v}",
        ],
    ),
    (
        "leaf",
        &[
            "{any}{mod}",
            "{windowed}",
            "{windowed}",
            "{windowed}",
            "vector({number})",
            "timestamp({any}{shift})",
        ],
    ),
    // Selectors
    ("any", &["{counter}", "{gauge}", "{gauge}", "{wave}", "{odd}", "{sparse}", "{bucket}", "{several}"]),
    ("counter", &["http_requests_total{http}", "http_requests_total{http}", "jobs_total{jobs}"]),
    ("http", &["", "", "{{{m_http}}}", "{{{m_http},{m_http}}}"]),
    ("m_http", &["job{job}", "instance{instance}", "code{code}", "method{method}"]),
    ("jobs", &["", "{{queue{queue}}}", "{{job{job}}}"]),
    ("gauge", &["temperature{temperature}", "temperature{temperature}", "capacity", "build_info"]),
    ("temperature", &["", "{{{m_temperature}}}", "{{{m_temperature},{m_temperature}}}"]),
    ("m_temperature", &["room{room}", "floor{floor}", "instance{instance}", "job{job}", "none{absent}"]),
    ("wave", &["wave", "wave{{job{job}}}", "wave{{instance{instance}}}"]),
    ("odd", &["odd", "odd{{kind=~\"nan|plain\"}}", "odd{{kind!=\"nan\"}}"]),
    ("sparse", &["sparse", "sparse{{site!=\"a\"}}"]),
    ("bucket", &["request_seconds_bucket{{job{job}}}", "request_seconds_count", "request_seconds_sum"]),
    (
        "several",
        &[
            "{{__name__=~\"wave|capacity\"}}",
            "{{job=\"api\",__name__!~\"native.*|request.*\"}}",
            "{{__name__=~\"temp.+\",room!=\"\"}}",
        ],
    ),
    ("job", &["=\"api\"", "=\"web\"", "!=\"api\"", "=~\"a.*\"", "!~\"w.b\"", "=~\"api|web\"", "=\"none\""]),
    ("instance", &["=\"a\"", "=\"b\"", "!=\"c\"", "=~\"[ab]\"", "!~\"a|b\"", "=~\".+\"", "!=\"\""]),
    ("code", &["=\"200\"", "!=\"200\"", "=~\"5..\"", "!~\"2..|4..\"", "=~\"200|500\""]),
    ("method", &["=\"GET\"", "!=\"GET\"", "=~\"P.+\"", "=~\"\""]),
    ("queue", &["=\"mail\"", "!=\"mail\"", "=~\"(mail|push)\""]),
    ("room", &["=\"hall\"", "=~\".*e.*\"", "!~\"hall|attic\"", "!=\"\""]),
    ("floor", &["=\"0\"", "!=\"0\"", "=~\"[12]\"", "=\"\""]),
    ("absent", &["=\"\"", "=~\".*\"", "!=\"x\"", "!~\"x\""]),
    ("mod", &["", "", "", "", " offset {offset}", " @ {time}", " @ end()", " @ start() offset {offset}"]),
    ("shift", &["", "", " offset {offset}"]),
    ("offset", &["15s", "1m", "3m", "-30s", "7m20s", "-2m"]),
    ("range", &["31s", "1m", "90s", "2m", "5m", "10m"]),
    // Functions of ranges
    (
        "windowed",
        &[
            "{of_counter}({counter}[{range}]{mod})",
            "{of_counter}({counter}[{range}]{mod})",
            "{of_any}({any}[{range}]{mod})",
            "{of_any}({any}[{range}]{mod})",
            "quantile_over_time({q}, {any}[{range}]{mod})",
            "predict_linear({gauge}[{range}]{shift}, {seconds})",
            "timestamp(last_over_time({any}[{range}]))",
        ],
    ),
    ("of_counter", &["rate", "rate", "rate", "increase", "irate", "resets", "changes"]),
    // Over what may have rounding errors: nothing that counts or magnifies small differences
    (
        "of_inner",
        &[
            "avg_over_time",
            "sum_over_time",
            "min_over_time",
            "max_over_time",
            "count_over_time",
            "last_over_time",
            "present_over_time",
        ],
    ),
    (
        "of_any",
        &[
            "avg_over_time",
            "sum_over_time",
            "min_over_time",
            "max_over_time",
            "count_over_time",
            "stddev_over_time",
            "stdvar_over_time",
            "last_over_time",
            "present_over_time",
            "delta",
            "idelta",
            "deriv",
            "changes",
            "resets",
        ],
    ),
    ("seconds", &["60", "-300", "3600"]),
    ("q", &["0.5", "0.9", "0", "1", "-0.1", "1.5", "0.333"]),
    // Subqueries: what is inside has none itself
    (
        "subquery",
        &[
            "{of_any}({any}[{range}:{step}]{mod})",
            "{of_inner}({inner}[{range}:{step}]{mod})",
            "{of_inner}(({inner})[{range}:{step}]{mod})",
            "quantile_over_time({q}, {leaf}[{range}:{step}])",
            "{of_counter}({counter}[{range}:{step}]{mod})",
            "absent_over_time({inner}[{range}:{step}])",
        ],
    ),
    ("inner", &["{leaf}", "{windowed}", "sum by ({labels}) ({windowed})", "max({v})", "({v})"]),
    ("step", &["", "15s", "7s", "30s", "1m"]),
    // Aggregations
    (
        "aggregate",
        &[
            "{operator} {grouping} ({v})",
            "{operator} {grouping} ({v})",
            "{operator}({v}) {grouping}",
            "{operator} {grouping} ({windowed})",
            "{operator} {grouping} ({windowed})",
            "quantile {grouping} ({q}, {v})",
            "{spread} {grouping} ({steady})",
            "{spread} {grouping} ({windowed_steady})",
            "count_values {grouping} (\"value\", {countable})",
            "{k} {grouping} ({number_k}, {distinct})",
        ],
    ),
    ("operator", &["sum", "sum", "avg", "min", "max", "count", "group"]),
    ("spread", &["stddev", "stdvar"]),
    ("steady", &["temperature{temperature}{mod}", "{counter}{mod}", "max by (job, room) (temperature)"]),
    (
        "windowed_steady",
        &["{of_counter}({counter}[{range}]{mod})", "max_over_time(temperature[{range}]{mod})"],
    ),
    ("grouping", &["", "by ({labels})", "by ({labels})", "without ({labels})"]),
    (
        "labels",
        &["", "job", "instance", "job, instance", "code", "room, floor", "method, job", "none, job", "le"],
    ),
    ("k", &["topk", "bottomk"]),
    ("number_k", &["0", "1", "2", "3", "100", "-1"]),
    // Values of which no two are the same
    (
        "distinct",
        &[
            "{wave}{mod}",
            "max_over_time({wave}[{range}])",
            "-{wave}",
            "sum by (job) ({wave})",
            "deriv({wave}[2m])",
        ],
    ),
    ("countable", &["build_info", "round(temperature)", "capacity", "count by (job) ({gauge})", "odd > 3"]),
    // Operators
    (
        "binary",
        &[
            "{v} {arithmetic} {s}",
            "{s} {arithmetic} {v}",
            "{v} {comparison} {number}",
            "{number} {comparison} {exact}",
            "{exact} {comparison} bool {number}",
            "{v} {arithmetic} {v}",
            "{v} ^ {power}",
            "{exact} ^ {same_labels} {exact}",
            "{a} {arithmetic} {same_labels} {a}",
            "sum by (job) ({windowed}) {arithmetic} on (job) capacity",
            "{exact} {comparison} {same_labels} {exact}",
            "{exact} {comparison} bool {one_to_one} {exact}",
            "{exact} % {same_labels} {exact}",
            "{exact} % {number}",
            "avg by (job, instance) ({v}) {arithmetic} {one_to_one} max by (job, instance) ({v})",
            "{counter} {arithmetic} on (job) group_left capacity",
            "{counter} {comparison} on (job) group_left ({number} * capacity)",
            "{windowed} {arithmetic} on (job, instance) group_left (version) build_info",
            "build_info {arithmetic} on (instance, job) group_right (version) {v}",
            "{v} {arithmetic} ignoring (code, method) group_left sum without (code, method) ({v})",
            "{counter} / ignoring (code) group_left () sum without (code) ({counter})",
        ],
    ),
    ("a", &["{leaf}", "{counter}", "{gauge}", "{wave}"]),
    // Values without rounding errors, so that comparing them is not a matter of the last digit
    (
        "exact",
        &[
            "temperature{temperature}{mod}",
            "{counter}{mod}",
            "capacity",
            "max by (job, instance) ({any})",
            "count by (job) ({v})",
        ],
    ),
    ("arithmetic", &["+", "-", "*", "/"]),
    ("comparison", &["==", "!=", ">", "<", ">=", "<="]),
    ("power", &["2", "0.5", "-1", "0"]),
    ("same_labels", &["", "", "ignoring (none)", "ignoring ()"]),
    ("one_to_one", &["", "on (job, instance)", "ignoring (none)", "on (instance)", "on ()"]),
    (
        "set",
        &[
            "{v} and {v}",
            "{v} or {v}",
            "{v} unless {v}",
            "{v} and on ({labels}) {v}",
            "{v} or ignoring (code, method) {v}",
            "{v} unless on (job) {v}",
            "{v} or vector({number})",
            "({exact} > {number}) and ({exact} < 60)",
        ],
    ),
    // Functions of vectors
    (
        "map",
        &[
            "{function}({v})",
            "{function}({v})",
            "{step_function}({exact})",
            "round({exact}, {nearest})",
            "clamp({v}, {number}, {number})",
            "clamp_min({v}, {number})",
            "clamp_max({v}, {s})",
            "vector(scalar({v}))",
            "vector({s})",
            "{calendar}({exact})",
            "{calendar}(vector(time()))",
            "{calendar}(timestamp({any}))",
            "{calendar}()",
        ],
    ),
    (
        "function",
        &["abs", "sqrt", "exp", "ln", "log2", "log10", "atan", "tanh", "asinh", "deg", "rad", "sgn"],
    ),
    ("step_function", &["ceil", "floor", "round", "sgn", "sin", "cos", "tan"]),
    ("nearest", &["5", "0.5", "-2", "10"]),
    (
        "calendar",
        &["hour", "minute", "month", "year", "day_of_week", "day_of_month", "day_of_year", "days_in_month"],
    ),
    (
        "labelled",
        &[
            "label_replace({v}, \"new\", \"$1-x\", \"instance\", \"(.*)\")",
            "label_replace({v}, \"instance\", \"${{all}}\", \"job\", \"(?P<all>a.*)\")",
            "label_replace({v}, \"job\", \"\", \"job\", \".*\")",
            "label_replace({v}, \"__name__\", \"renamed\", \"none\", \"\")",
            "label_join({v}, \"both\", \"/\", \"job\", \"none\", \"instance\")",
            "label_join({v}, \"instance\", \"-\", \"instance\", \"job\")",
        ],
    ),
    (
        "absence",
        &[
            "absent({any})",
            "absent(nothing{{a=\"b\",c=~\"d\",job!=\"e\"}})",
            "absent({v})",
            "absent_over_time({any}[{range}]{mod})",
            "absent_over_time(nothing{{a=\"b\"}}[{range}])",
        ],
    ),
    // Histograms
    (
        "classic",
        &[
            "histogram_quantile({q}, request_seconds_bucket{mod})",
            "histogram_quantile({q}, rate(request_seconds_bucket[{range}]{mod}))",
            "histogram_quantile({q}, sum by (le) (rate(request_seconds_bucket[{range}])))",
            "histogram_quantile({q}, sum by (le, job) (increase(request_seconds_bucket[{range}])))",
            "histogram_quantile({q}, request_seconds_bucket{{le!=\"+Inf\"}})",
            "histogram_quantile({q}, {v})",
            "rate(request_seconds_sum[{range}]) / rate(request_seconds_count[{range}])",
        ],
    ),
    (
        "native",
        &[
            "native_seconds{mod}",
            "{of_native}(native_seconds[{native_range}]{mod})",
            "{part}({native_vector})",
            "{part}({native_vector})",
            "{native_vector}",
        ],
    ),
    ("part", &["histogram_count", "histogram_sum", "count", "count by (job)", "group"]),
    (
        "native_vector",
        &[
            "native_seconds{mod}",
            "rate(native_seconds[{native_range}])",
            "increase(native_seconds[{native_range}])",
            "sum by (job) (native_seconds)",
            "sum(rate(native_seconds[{native_range}]))",
        ],
    ),
    ("of_native", &["rate", "increase", "count_over_time", "present_over_time"]),
    ("native_range", &["1m", "2m", "5m", "10m"]),
    // Scalars
    (
        "s",
        &[
            "{number} atan2 {number}",
            "{number}",
            "{number}",
            "{number}",
            "scalar({v})",
            "scalar(max({exact}))",
            "time()",
            "pi()",
            "({s} {arithmetic} {number})",
            "{number} {comparison} bool {number}",
        ],
    ),
    ("number", &["0", "1", "2", "0.5", "-3", "10", "100", "1e3", "0x1F", "Inf", "NaN", "-Inf"]),
    // What has an order
    ("ordered", &["sort({v})", "sort_desc({v})", "sort({exact})"]),
    // What every server refuses, with the same status and error type
    (
        "wrong",
        &[
            "sum(",
            "rate({gauge})",
            "no_such_function({v})",
            "{v} + on (job) {counter}",
            "{counter} * on (job) group_left {counter}",
            "temperature[5m]",
            "abs({v}, {v})",
            "sum by (job ({v})",
            "{v} and {number}",
            "{v}[5m]",
            "label_replace({v}, \"a\", \"b\", \"c\", \"(\")",
            "topk({v})",
            "rate(http_requests_total{{job=\"}}[5m])",
            "{number} > {number}",
            "\"text\" + {number}",
            "label_replace({several}, \"__name__\", \"one\", \"\", \"\")",
            "{{}}",
            "{{job=~\".*\"}}",
        ],
    ),
];

/// Makes expressions about a moment.
pub(crate) struct Grammar<'a> {
    /// Where choices come from.
    pub(crate) random: &'a mut Random,
    /// The moment, in seconds since the epoch: `@` names times before it.
    pub(crate) end_s: f64,
}

impl Grammar<'_> {
    /// The next expression.
    pub(crate) fn query(&mut self) -> String {
        let mut out = String::new();
        self.expand("query", DEPTH, false, &mut out);
        out
    }

    /// Appends an expansion of a nonterminal; `inner` is inside a subquery.
    fn expand(&mut self, name: &str, depth: usize, inner: bool, out: &mut String) {
        match name {
            "time" => return out.push_str(&format!("{:.3}", self.end_s - self.random.below(900) as f64)),
            "v" if depth == 0 => return self.expand("leaf", depth, inner, out),
            "s" if depth == 0 => return self.expand("number", depth, inner, out),
            "subquery" if inner => return self.expand("windowed", depth, inner, out),
            _ => {}
        }
        let rule = RULES.iter().find(|(rule, _)| *rule == name);
        let (_, productions) = rule.unwrap_or_else(|| panic!("the grammar has no rule {name}"));
        let production = productions[self.random.below(productions.len() as u64) as usize];
        let depth = if matches!(name, "v" | "s") { depth - 1 } else { depth };
        let inner = inner || name == "subquery";
        let mut rest = production;
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                // A doubled brace stands for itself.
                out.push_str(brace);
                rest = after;
                continue;
            }
            let end = rest.find('}').unwrap_or_else(|| panic!("{production} has an open brace"));
            let operand = &rest[..end];
            // Operands keep together whatever stands around them.
            let parens = matches!(operand, "v" | "s" | "a" | "exact") && is_operand(production);
            out.push_str(if parens { "(" } else { "" });
            self.expand(operand, depth, inner, out);
            out.push_str(if parens { ")" } else { "" });
            rest = &rest[end + 1..];
        }
        out.push_str(rest);
    }
}

fn is_operand(production: &str) -> bool {
    ["{arithmetic}", "{comparison}", " and ", " or ", " unless ", "-{v}", " + ", " > ", "%", "^"]
        .iter()
        .any(|part| production.contains(part))
}
