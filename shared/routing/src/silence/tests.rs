//! The life of silences.

use weir_model::Labels;

use super::*;

const NOW: i64 = 1_800_000_000_000;

fn silence(id: &str, matcher: &str, from: i64, to: i64) -> Silence {
    let matchers = crate::config::parse_matchers(matcher).unwrap();
    Silence {
        id: id.to_owned(),
        matchers: matchers.iter().map(SilenceMatcher::from).collect(),
        starts_ms: NOW + from,
        ends_ms: NOW + to,
        updated_ms: 0,
        created_by: "me".to_owned(),
        comment: "why".to_owned(),
    }
}

#[test]
fn a_silence_is_pending_then_active_then_expired_and_mutes_while_active() {
    let silences = Silences::new([silence("s", "a=~\"x|y\"", 10, 20)]);
    let labels = Labels::from_pairs([("a", "x")]);
    for (at, state, muting) in [
        (9, SilenceState::Pending, 0),
        (10, SilenceState::Active, 1),
        (19, SilenceState::Active, 1),
        (20, SilenceState::Expired, 0),
    ] {
        assert_eq!(silences.get("s").unwrap().state(NOW + at), state, "{at}");
        assert_eq!(silences.muting(&labels, NOW + at).len(), muting, "{at}");
    }
    assert!(silences.muting(&Labels::from_pairs([("a", "z")]), NOW + 15).is_empty());
}

#[test]
fn a_change_that_would_rewrite_the_past_expires_the_old_silence_and_makes_a_new_one() {
    let silences = Silences::new([silence("active", "a=b", -100, 100), silence("later", "a=b", 50, 100)]);
    let ids = |wanted: Silence| {
        let changed = silences.set(wanted, NOW, "new").unwrap();
        changed.iter().map(|s| (s.id.clone(), s.starts_ms - NOW, s.ends_ms - NOW)).collect::<Vec<_>>()
    };
    let row = |id: &str, from, to| (id.to_owned(), from, to);
    assert_eq!(ids(silence("active", "a=b", -100, 500)), [row("active", -100, 500)], "longer");
    assert_eq!(
        ids(silence("active", "a=c", -100, 100)),
        [row("active", -100, 0), row("new", 0, 100)],
        "others"
    );
    assert_eq!(ids(silence("later", "a=b", 10, 90)), [row("later", 10, 90)], "earlier");
    assert_eq!(
        ids(silence("later", "a=c", 60, 90)),
        [row("later", 0, 0), row("new", 60, 90)],
        "others, later"
    );
    assert_eq!(ids(silence("", "a=b", -50, 90)), [row("new", 0, 90)], "none begins in the past");
    let missing = silences.set(silence("gone", "a=b", 0, 1), NOW, "new");
    assert_eq!(missing, Err(SilenceError::NotFound("gone".to_owned())));
    assert_eq!(silences.expire("active", NOW).unwrap().unwrap().ends_ms, NOW);
    assert_eq!(silences.expire("active", NOW + 100), Ok(None));
}

#[test]
fn what_would_silence_everything_or_nothing_is_refused() {
    for (matcher, from, to, part) in [
        ("", 0, 1, "0 matchers"),
        ("a=~\".*\"", 0, 1, "must not match the empty string"),
        ("a=\"\"", 0, 1, "must not match the empty string"),
        ("a=b", 2, 1, "ends before it starts"),
    ] {
        let refused = Silences::default().set(silence("", matcher, from, to), NOW, "new").unwrap_err();
        assert!(refused.to_string().contains(part), "{matcher}: {refused}");
    }
}

#[test]
fn maintenance_windows_are_silences_with_lasting_ids() {
    let text = "maintenance_windows:\n- matchers: [service=pay]\n  starts_at: 2026-12-01T22:00:00Z\n  \
                ends_at: 2026-12-02T00:00:00+01:00\n  comment: new database\n";
    let windows = parse_windows("w.yml", text).unwrap();
    assert_eq!(windows, parse_windows("w.yml", text).unwrap());
    assert_eq!(windows[0].ends_ms - windows[0].starts_ms, 3_600_000);
    assert_eq!((windows[0].id.len(), windows[0].id.as_bytes()[14]), (36, b'8'));
    for (from, to, want) in [
        ("service=pay", "service", "w.yml:2:14: bad matcher"),
        ("2026-12-01T22", "soon", "w.yml:3:14: \"soon:00:00Z\" is no time"),
        ("2026-12-02", "2026-11-02", "ends before it starts"),
        ("comment", "note", "note"),
    ] {
        let error = parse_windows("w.yml", &text.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
}
