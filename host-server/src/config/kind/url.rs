//! A URL that may have a secret in it: in its query, or before its host.

pub(in super::super) use super::text::read;

/// Without its secrets.
pub(in super::super) fn show(url: &str) -> String {
    let (place, query) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    let (before, path) = place.find("://").map_or(("", place), |at| place.split_at(at + 3));
    let mut shown = before.to_owned();
    match path.rsplit_once('@') {
        Some((_, path)) => shown.extend(["…@", path]),
        None => shown.push_str(path),
    }
    if !query.is_empty() {
        shown.push_str("?…");
    }
    super::text::show(&shown)
}

#[cfg(test)]
mod tests {
    use super::show;

    #[test]
    fn what_may_be_secret_is_left_out() {
        for (url, shown) in [
            ("", ""),
            ("https://host.example/send", "https://host.example/send"),
            ("https://host.example/send?key=s3cret&to=?", "https://host.example/send?…"),
            ("https://host.example#s3cret", "https://host.example?…"),
            ("https://user:s3cret@host.example:8080/send", "https://…@host.example:8080/send"),
            ("https://user:s3/cret@host.example/send", "https://…@host.example/send"),
            ("user:s3cret@host.example", "…@host.example"),
        ] {
            assert_eq!(show(url), format!("\"{shown}\""));
        }
    }
}
