//! Which known name did the user probably mean?

/// Returns the known name closest to `wanted`, if it is close enough to be a slip.
///
/// Close means at most one edit for every three characters of `wanted`, upper and lower case
/// being the same. Ties go to the first in `known`; callers pass it sorted, so the answer is stable.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let budget = wanted.chars().count().div_ceil(3);
    known
        .into_iter()
        .map(|name| (strsim::osa_distance(&wanted, &name.to_lowercase()), name))
        .filter(|(edits, _)| *edits <= budget)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// Returns "did you mean `name`?" when a known name is close.
pub fn did_you_mean<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(wanted, known).map(|name| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slips_are_corrected() {
        let known = ["customers", "fct_sales", "stg_orders"];
        assert_eq!(nearest("stg_order", known), Some("stg_orders"));
        assert_eq!(nearest("STG_ORDRES", known), Some("stg_orders"));
        assert_eq!(nearest("weather", known), None);
    }
}
