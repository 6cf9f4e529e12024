//! Templates give what Prometheus' templates give.

use std::sync::Arc;

use weir_model::Labels;

use super::{Answers, Data, Expansion, Template, TemplateSample};

fn data() -> Arc<Data> {
    Arc::new(Data {
        labels: Labels::from_pairs([("instance", "web-1.example.com:9100"), ("job", "node"), ("empty", "")]),
        external_labels: Labels::from_pairs([("region", "eu")]),
        external_url: "https://weir.example.com/metrics/".to_owned(),
        value: 1234.5678,
    })
}

fn answers() -> Answers {
    let sample = |instance: &str, value| TemplateSample {
        labels: Labels::from_pairs([("__name__", "up"), ("instance", instance)]),
        value,
    };
    let up = Arc::new(vec![sample("b", 21.0), sample("a", 11.0)]);
    Answers::from([
        ("up".to_owned(), Ok(up)),
        ("none".to_owned(), Ok(Arc::default())),
        ("bad(".to_owned(), Err("parse error".to_owned())),
    ])
}

fn expand(text: &str) -> String {
    match Template::parse(text) {
        Err(error) => format!("parse: {error}"),
        Ok(template) => match template.expand(&data(), &answers(), 1_435_065_584_128) {
            Expansion::Done(text) => text,
            Expansion::Asks(query) => format!("asks: {query}"),
            Expansion::Failed(error) => format!("failed: {error}"),
        },
    }
}

#[test]
fn templates_give_what_prometheus_gives() {
    let rows = [
        ("plain text", "plain text"),
        ("{{ 1 }} {{ 1.5 }} {{ \"a\\tb\" }} {{ `raw` }} {{ true }} {{ 'a' }}", "1 1.5 a\tb raw true 97"),
        ("{{ $labels.instance }} is {{ $value }}", "web-1.example.com:9100 is 1234.5678"),
        ("{{ .Labels.job }} {{ .Value }} {{ $.Value }}", "node 1234.5678 1234.5678"),
        ("[{{ $labels.nothing }}]", "[]"),
        (
            "{{ $externalLabels.region }} {{ $externalURL }} {{ pathPrefix }}",
            "eu https://weir.example.com/metrics/ /metrics",
        ),
        ("a {{- 1 -}} b", "a1b"),
        ("a{{/* nothing */}}b {{- /* trimmed */ -}} c", "abc"),
        ("{{ if gt $value 1000.0 }}high{{ else }}low{{ end }}", "high"),
        ("{{ if lt $value 0.5 }}x{{ else if eq $labels.job \"node\" }}y{{ else }}z{{ end }}", "y"),
        ("{{ with $labels.nothing }}x{{ else }}none{{ end }}", "none"),
        ("{{ with query \"up\" }}{{ . | first | value | humanize }}{{ end }}", "21"),
        ("{{ range query \"up\" }}{{ .Labels.instance }}={{ .Value }};{{ end }}", "b=21;a=11;"),
        (
            "{{ range $i, $s := query \"up\" | sortByLabel \"instance\" }}{{ $i }}{{ label \"instance\" $s }} {{ end }}",
            "0a 1b ",
        ),
        ("{{ range query \"none\" }}x{{ else }}nothing{{ end }}", "nothing"),
        (
            "{{ range query \"up\" }}{{ break }}{{ end }}{{ range query \"up\" }}{{ continue }}x{{ end }}.",
            ".",
        ),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ $x := \"a\" }}{{ with \"b\" }}{{ $x := . }}{{ end }}{{ $x }}", "a"),
        ("{{ define \"t\" }}<{{ .arg0 }}{{ .arg1 }}>{{ end }}{{ template \"t\" (args 1 \"x\") }}", "<1x>"),
        ("{{ define \"t\" }}{{ . }}{{ end }}{{ tmpl \"t\" 5 | printf \"%s!\" }}", "5!"),
        (
            "{{ printf \"%.2f|%5d|%-4s|%q|%05.1f|%x|%v|%%\" $value 42 \"ab\" \"c\" 2.5 255 true }}",
            "1234.57|   42|ab  |\"c\"|002.5|ff|true|%",
        ),
        ("{{ printf \"%d\" $value }} {{ printf \"%s\" }}", "%!d(float64=1234.5678) %!s(MISSING)"),
        (
            "{{ humanize $value }} {{ humanize1024 2048.0 }} {{ humanizeDuration 3725.0 }} {{ humanizePercentage 0.25 }}",
            "1.235k 2ki 1h 2m 5s 25%",
        ),
        (
            "{{ humanizeTimestamp 1435065584.128 }} {{ toTime 0.0 }}",
            "2015-06-23 13:19:44.128 +0000 UTC 1970-01-01 00:00:00 +0000 UTC",
        ),
        ("{{ \"12.5\" | humanize }} {{ parseDuration \"1h30m\" }}", "12.5 5400"),
        ("{{ title \"hello wORLD\" }} {{ toUpper \"aé\" }} {{ toLower \"AB\" }}", "Hello WORLD AÉ ab"),
        (
            "{{ reReplaceAll \"(.*):(\\\\d+)\" \"$2-$1\" \"host:80\" }} {{ match \"we.\" $labels.instance }}",
            "80-host true",
        ),
        (
            "{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }} {{ stripDomain \"10.0.0.1:80\" }}",
            "web-1.example.com web-1:9100 10.0.0.1:80",
        ),
        ("{{ graphLink \"up{job='x'} > 1\" }}", "/graph?g0.expr=up%7Bjob%3D%27x%27%7D+%3E+1&g0.tab=0"),
        (
            "{{ tableLink \"up\" }} {{ safeHtml \"<b>\" }} {{ html \"<b>\" }}",
            "/graph?g0.expr=up&g0.tab=1 <b> &lt;b&gt;",
        ),
        (
            "{{ and 1 0 }} {{ or 0 \"x\" }} {{ not true }} {{ len \"abc\" }} {{ index $labels \"job\" }}",
            "0 x false 3 node",
        ),
        ("{{ eq 1 2 1 }} {{ ne \"a\" \"b\" }} {{ ge 2 2 }} {{ le 1.5 1.0 }}", "true true true false"),
        ("{{ print 1 2 \"a\" 3 }}|{{ println \"x\" 1 }}", "1 2a3|x 1\n"),
        ("{{ $labels }}", "map[instance:web-1.example.com:9100 job:node]"),
        ("{{ (query \"up\" | first).Value }} {{ (index (query \"up\") 1).Labels.instance }}", "21 a"),
        ("{{ now }}", "1.435065584128e+09"),
        ("{{ range $k, $v := $externalLabels }}{{ $k }}={{ $v }}{{ end }}", "region=eu"),
        ("{{ block \"b\" 7 }}[{{ . }}]{{ end }}", "[7]"),
        ("{{ slice \"abcdef\" 1 3 }} {{ urlquery \"a b\" }}", "bc a+b"),
    ];
    let wrong: Vec<String> = rows
        .iter()
        .map(|(text, want)| (text, want, expand(text)))
        .filter(|(_, want, got)| *want != got)
        .map(|(text, want, got)| format!("{text}\n  gave {got:?}\n  not  {want:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let rows = [
        ("{{ nope }}", "parse: template line 1: function \"nope\" not defined"),
        ("x\n{{ $nope }}", "parse: template line 2: undefined variable \"$nope\""),
        ("{{ if true }}", "parse: template line 1: unexpected EOF"),
        ("{{ end }}", "parse: template line 1: unexpected {{end}}"),
        ("{{ \"a }}", "parse: template line 1: unterminated quoted string"),
        ("a {{ $value", "parse: template line 1: unclosed action"),
        ("{{ }}", "parse: template line 1: missing value for command"),
        ("{{ 1 | 2 }}", "parse: template line 1: non executable command in pipeline stage 2"),
        ("{{ break }}", "parse: template line 1: {{break}} outside {{range}}"),
        ("{{ ( 1 }}", "parse: template line 1: unclosed left paren"),
        (
            "\n\n{{ gt $value 1000 }}",
            "failed: template line 3: error calling gt: incompatible types for comparison",
        ),
        (
            "{{ query \"none\" | first }}",
            "failed: template line 1: error calling first: first() called on vector with no elements",
        ),
        ("{{ query \"other\" }}", "asks: other"),
        ("{{ query \"bad(\" }}", "failed: template line 1: error calling query: parse error"),
        ("{{ .Nope }}", "failed: template line 1: can't evaluate field Nope in type struct"),
        ("{{ $value.Nope }}", "failed: template line 1: can't evaluate field Nope in type float64"),
        ("{{ humanize }}", "failed: template line 1: wrong number of args for humanize: want 1 got 0"),
        ("{{ match \"(\" \"x\" }}", "failed: template line 1: error calling match: error parsing regexp"),
        ("{{ template \"t\" }}", "failed: template line 1: template \"t\" not defined"),
        (
            "{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}",
            "failed: template line 1: templates call each other deeper",
        ),
        ("{{ range 40000 }}xxxxxxxxxx{{ end }}", "failed: template line 1: template"),
        (
            "{{ range 4000 }}{{ range 4000 }}{{ end }}{{ end }}",
            "failed: template line 1: template takes more than 50000 steps",
        ),
    ];
    let wrong: Vec<String> = rows
        .iter()
        .map(|(text, want)| (text, want, expand(text)))
        .filter(|(_, want, got)| !got.starts_with(*want))
        .map(|(text, want, got)| format!("{text}\n  gave {got:?}\n  not  {want:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

proptest::proptest! {
    #[test]
    fn arbitrary_text_never_panics(text: String, soup in "[-{}|().$:=,\"'`a-f0-9 \n]{0,60}", words in "(\\{\\{-? ?(if|else|end|range|with|define \"a\"|template \"a\"|\\.|1|\\$value|query \"up\"|printf \"%d\" 1)? ?-?\\}\\}| x ){0,12}") {
        for text in [text, soup.clone(), format!("{{{{{soup}}}}}"), words] {
            let _ = expand(&text);
        }
    }
}
