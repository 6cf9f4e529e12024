//! Alerts of rules explained as a whole.

use weir_model::Labels;

use super::*;
use crate::file::RuleFile;

const RULE: &str = "groups:
- name: g
  rules:
  - alert: PaymentsFail
    expr: 100 * failed / all > 5
    labels: { severity: critical }
";
const GUIDE: &str = "business_hours: { days: [saturday], from: \"09:00\", to: \"17:00\" }
impacts:
- match: { alertname: PaymentsFail }
  level: high
  says: customers cannot pay
  actions: [call the bank]
";
/// 2026-11-21T10:00:00Z, a Saturday.
const NOW_MS: i64 = 1_795_255_200_000;

fn alert(labels: &[(&str, &str)], annotations: &[(&str, &str)], value: f64) -> Alert {
    let labels = Labels::from_pairs(labels.iter().copied());
    let annotations = Labels::from_pairs(annotations.iter().copied());
    let mut alert = Alert::new(labels, annotations, value, NOW_MS - 20 * 60_000);
    alert.state = AlertState::Firing;
    alert
}

fn rule() -> Rule {
    RuleFile::parse("r.yml", RULE).unwrap().groups.remove(0).rules.remove(0)
}

#[test]
fn an_alert_says_what_is_wrong_how_urgent_it_is_and_what_to_do() {
    let guide = Guide::parse(GUIDE).unwrap();
    let annotations =
        [("runbook_url", "https://wiki/pay"), ("actions", "- look at the log\n\n* ask the team\n")];
    let subject =
        alert(&[("alertname", "PaymentsFail"), ("severity", "critical"), ("shop", "eu")], &annotations, 12.5);
    let other = alert(&[("alertname", "BankDown"), ("shop", "eu")], &[], 1.0);
    let all = [subject.clone(), other];
    let explained = Explainer::new(&guide, "http://w", all.iter(), NOW_MS).explain(&rule(), &subject);
    assert_eq!(explained.condition_text(), "100 * failed / all is 12.5, limit > 5 (2.50 times the limit)");
    assert_eq!(explained.since, "2026-11-21T09:40:00Z");
    assert_eq!(explained.active_seconds, 1200);
    assert_eq!(explained.actions, ["look at the log", "ask the team", "call the bank"]);
    assert_eq!(explained.runbook_url.as_deref(), Some("https://wiki/pay"));
    assert_eq!(explained.impact.as_ref().unwrap().text, "customers cannot pay");
    assert_eq!(explained.correlated[0].alertname, "BankDown");
    assert_eq!(explained.time, TimeContext { business_hours: Some(true), weekend: true, hour: 10 });
    let points: Vec<_> = explained.priority.parts.iter().map(|part| (part.name, part.points)).collect();
    let want = [
        ("severity", 50.0),
        ("distance", 15.0),
        ("impact", 12.0),
        ("duration", 3.0),
        ("hours", 5.0),
        ("correlated", 3.0),
    ];
    assert_eq!(points, want);
    assert_eq!(explained.priority.level, Level::Critical);
    let names: Vec<_> = explained.annotations().iter().map(|(name, _)| *name).collect();
    assert!(names.is_sorted() && names.contains(&"weir_priority"), "{names:?}");
}

#[test]
fn what_an_alert_says_itself_comes_before_the_guide() {
    let guide = Guide::parse(GUIDE).unwrap();
    let labels = [("alertname", "PaymentsFail"), ("business_impact", "low")];
    let subject = alert(&labels, &[("impact", "only a test shop")], 12.5);
    let all = [subject.clone()];
    let explained = Explainer::new(&guide, "", all.iter(), NOW_MS).explain(&rule(), &subject);
    let want = BusinessImpact { level: ImpactLevel::Low, text: "only a test shop".to_owned() };
    assert_eq!(explained.impact, Some(want));
}

#[test]
fn a_firing_is_known_by_its_labels_and_its_beginning() {
    let one = alert(&[("alertname", "A")], &[], 1.0);
    let mut again = one.clone();
    (again.value, again.state) = (2.0, AlertState::Inactive);
    // Pinned: feedback is given for it, and it is stored.
    assert_eq!(identity(&one), format!("{}-1795254000000", &identity(&one)[..16]));
    assert_eq!(identity(&one), identity(&again));
    again.active_at_ms += 1;
    assert_ne!(identity(&one), identity(&again));
}
