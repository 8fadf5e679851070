//! Closed sets of names that are the same in Rust, SQL, JSON and on pages.

/// A text that is not one of the names of a closed set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{text}`")]
pub struct UnknownName {
    /// What was expected, such as `call phase`.
    pub what: &'static str,
    /// What was found.
    pub text: String,
}

/// Declares a field-less enum with one fixed name per variant: `as_str`, `Display`, `FromStr`, serde and `ALL`.
macro_rules! named {
    (
        $(#[$doc:meta])* $name:ident ($what:literal) {
            $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name used in SQL and JSON.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::named::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::named::UnknownName { what: $what, text: text.to_owned() }),
                }
            }
        }
    };
}

pub(crate) use named;

#[cfg(test)]
mod tests {
    use crate::calls::Outcome;

    #[test]
    fn names_round_trip_in_text_and_json() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse::<Outcome>().unwrap(), *outcome);
            assert_eq!(
                serde_json::to_string(outcome).unwrap(),
                format!("\"{outcome}\"")
            );
        }
        assert_eq!(
            "lost".parse::<Outcome>().unwrap_err().to_string(),
            "unknown call outcome `lost`"
        );
    }
}
