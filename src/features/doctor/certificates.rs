//! Until when the certificates of the cluster are good.

use jiff::{SignedDuration, Timestamp};

use crate::domain::{Finding, words::list};

/// When it is time to have new ones made: Kubernetes does that at a start, in their last 90 days.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A certificate and its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Certificate {
    /// Whose, such as `the certificate of the cluster's API`.
    pub(super) whose: &'static str,
    /// Its end; `None` if it cannot be told.
    pub(super) end: Option<Timestamp>,
}

/// What is to be said of certificates at `now`: one line if all are good for long.
pub(super) fn judge(certificates: &[Certificate], now: Timestamp) -> Vec<Finding> {
    let ends = certificates
        .iter()
        .filter_map(|certificate| Some((certificate.whose, certificate.end?)));
    let found: Vec<Finding> = ends
        .clone()
        .filter_map(|(whose, end)| judge_one(whose, end, now))
        .collect();
    match ends.clone().map(|(_, end)| end).min() {
        Some(first) if found.is_empty() => {
            let days = first.duration_since(now).as_hours() / 24;
            let whose: Vec<&str> = ends.map(|(whose, _)| whose).collect();
            let verb = if whose.len() == 1 { "is" } else { "are" };
            let what = format!("{} {verb} good for {days} days", list(&whose));
            vec![Finding::ok("certificates", what)]
        }
        _ => found,
    }
}

fn judge_one(whose: &str, end: Timestamp, now: Timestamp) -> Option<Finding> {
    const MEND: &str = "devenv stop && devenv start   # makes new ones";
    let left = end.duration_since(now);
    if left > SOON {
        return None;
    }
    if !left.is_positive() {
        let finding = Finding::problem("certificate.expired", format!("{whose} is no longer good"));
        return Some(finding.because(format!("it ended at {end}")).fix(MEND));
    }
    let days = left.as_hours() / 24;
    let what = format!("{whose} ends in {days} days");
    let finding = Finding::warning("certificate.ends-soon", what);
    Some(finding.because(format!("it is good until {end}")).fix(MEND))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(days: &[Option<i64>]) -> Vec<Finding> {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let certificates: Vec<Certificate> = days
            .iter()
            .map(|days| Certificate {
                whose: "it",
                end: days.map(|days| now + SignedDuration::from_hours(24 * days)),
            })
            .collect();
        judge(&certificates, now)
    }

    fn ids(days: &[Option<i64>]) -> Vec<&'static str> {
        let found = judged(days);
        found.iter().map(|finding| finding.id.0).collect()
    }

    #[test]
    fn a_certificate_is_good_for_long_or_ends_soon_or_has_ended() {
        assert_eq!(ids(&[Some(364), Some(31)]), ["certificates"]);
        assert_eq!(ids(&[Some(364), Some(30)]), ["certificate.ends-soon"]);
        assert_eq!(
            ids(&[Some(0), Some(1)]),
            ["certificate.expired", "certificate.ends-soon"]
        );
        assert_eq!(ids(&[Some(-1), None]), ["certificate.expired"]);
        assert_eq!(ids(&[None, None]), [""; 0]);
        let good = judged(&[Some(364), Some(31)]);
        assert_eq!(good[0].what, "it and it are good for 31 days");
        assert_eq!(
            judged(&[Some(364), None])[0].what,
            "it is good for 364 days"
        );
    }
}
