//! Numbers as people read them: the `humanize…` functions of Prometheus' templates.

use super::number::general_precision;
use super::time;

fn short(x: f64) -> String {
    general_precision(x, 4)
}

/// Prefixes of thousands: 1234567 is `1.235M`.
pub(super) fn humanize(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return short(x);
    }
    scaled(x, "")
}

/// Prefixes of 1024: 1048576 is `1Mi`.
pub(super) fn humanize_1024(mut x: f64) -> String {
    if x.abs() <= 1.0 || !x.is_finite() {
        return short(x);
    }
    let mut prefix = "";
    for next in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
        if x.abs() < 1024.0 {
            break;
        }
        prefix = next;
        x /= 1024.0;
    }
    format!("{}{prefix}", short(x))
}

/// Seconds as days to seconds, or with a prefix below one: 3725 is `1h 2m 5s`.
pub(super) fn humanize_duration(x: f64) -> String {
    if !x.is_finite() {
        return short(x);
    }
    if x == 0.0 {
        return format!("{}s", short(x));
    }
    if x.abs() < 1.0 {
        return scaled(x, "s");
    }
    let sign = if x < 0.0 { "-" } else { "" };
    let whole = x.abs() as i64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", short(x.abs()))
    }
}

/// A ratio in percent.
pub(super) fn humanize_percentage(x: f64) -> String {
    format!("{}%", short(x * 100.0))
}

/// Unix seconds as a time.
pub(super) fn humanize_timestamp(x: f64) -> Result<String, String> {
    if !x.is_finite() {
        return Ok(short(x));
    }
    Ok(time::go_time(time::from_seconds(x)?))
}

fn scaled(mut x: f64, unit: &str) -> String {
    let mut prefix = "";
    if x.abs() >= 1.0 {
        for next in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if x.abs() < 1000.0 {
                break;
            }
            prefix = next;
            x /= 1000.0;
        }
    } else {
        for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if x.abs() >= 1.0 {
                break;
            }
            prefix = next;
            x *= 1000.0;
        }
    }
    format!("{}{prefix}{unit}", short(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_prometheus_writes_them() {
        type Row = (fn(f64) -> String, f64, &'static str);
        let rows: [Row; 18] = [
            (humanize, 0.0, "0"),
            (humanize, 1_234_567.0, "1.235M"),
            (humanize, 0.12, "120m"),
            (humanize, -1024.0, "-1.024k"),
            (humanize, f64::INFINITY, "+Inf"),
            (humanize_1024, 1_048_576.0, "1Mi"),
            (humanize_1024, 0.5, "0.5"),
            (humanize_duration, 0.0, "0s"),
            (humanize_duration, 1.0, "1s"),
            (humanize_duration, 12.3456, "12.35s"),
            (humanize_duration, 60.0, "1m 0s"),
            (humanize_duration, 86_400.0, "1d 0h 0m 0s"),
            (humanize_duration, 899.99, "14m 59s"),
            (humanize_duration, 0.0001, "100us"),
            (humanize_duration, -3725.0, "-1h 2m 5s"),
            (humanize_duration, f64::NAN, "NaN"),
            (humanize_percentage, -0.22222, "-22.22%"),
            (humanize_percentage, 0.123456, "12.35%"),
        ];
        for (function, x, want) in rows {
            assert_eq!(function(x), want, "{x}");
        }
        assert_eq!(humanize_timestamp(1_435_065_584.128).unwrap(), "2015-06-23 13:19:44.128 +0000 UTC");
        assert!(humanize_timestamp(1e18).is_err());
    }
}
