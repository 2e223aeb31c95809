//! Texts in which a secret may stand anywhere: what a program or a gateway is told besides phone and code,
//! such as the key of an account. They are shown without what is written in them.

/// What stands for a text that is not shown.
const HIDDEN: &str = "…";

/// The arguments of a program: only how many there are is shown.
pub(in super::super) mod arguments {
    pub(in super::super::super) use super::super::list::read;

    pub(in super::super::super) fn show(arguments: &[String]) -> String {
        super::super::list::show(&vec![super::HIDDEN; arguments.len()])
    }
}

/// The body of a request: only where phone and code are in it is shown, and that of the default whole.
pub(in super::super) mod body {
    use super::super::super::WebhookConfig;

    pub(in super::super::super) use super::super::text::read;

    const NAMES: [&str; 2] = ["{phone}", "{code}"];

    pub(in super::super::super) fn show(body: &str) -> String {
        if body.is_empty() || body == WebhookConfig::default().body {
            return super::super::text::show(&body);
        }
        let mut shown = String::from(super::HIDDEN);
        let mut places: Vec<_> = NAMES.iter().flat_map(|name| body.match_indices(name)).collect();
        places.sort_unstable();
        for (_, name) in places {
            shown.push_str(name);
            shown.push_str(super::HIDDEN);
        }
        super::super::text::show(&shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_that_may_be_secret() {
        let args = ["--key", "s3cret"].map(str::to_owned);
        assert_eq!(arguments::show(&args), "[\"…\", \"…\"]");
        assert_eq!(arguments::show(&[]), "[]");
        for (text, shown) in [
            ("", "\"\""),
            (r#"{"phone":"{phone}","code":"{code}"}"#, r#"'{"phone":"{phone}","code":"{code}"}'"#),
            ("key=s3cret&text={code}&to={phone}", "\"…{code}…{phone}…\""),
            ("s3cret", "\"…\""),
        ] {
            assert_eq!(body::show(text), shown);
        }
    }
}
