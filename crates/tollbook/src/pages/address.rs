//! Links with a query, so that every filter lives in the address.

use form_urlencoded::Serializer;

/// `path?name=value&…`, leaving out what is empty.
pub(crate) fn address(path: &str, query: &[(&str, &str)]) -> String {
    let mut encoded = Serializer::new(String::new());
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        encoded.append_pair(name, value);
    }
    let encoded = encoded.finish();
    if encoded.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{encoded}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_filters_leave_no_trace() {
        assert_eq!(
            address("/communications", &[("q", ""), ("tab", "")]),
            "/communications"
        );
        assert_eq!(
            address(
                "/communications",
                &[("q", "a&b c"), ("tab", "calls"), ("from", "")]
            ),
            "/communications?q=a%26b+c&tab=calls"
        );
    }
}
