//! Where each effective setting comes from.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::{ConfigFile, Settings};

/// One setting as it is in effect.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Effective {
    /// Its name in `tollbook.toml`.
    pub(crate) name: String,
    /// Its value; `None` when it has none. A secret shows that it is there, not what it is.
    pub(crate) value: Option<String>,
    /// Flag, variable, file, or default.
    pub(crate) source: String,
}

/// All settings of a command line that was parsed, in the order of their declaration.
pub(crate) fn effective(matches: &ArgMatches, file: &ConfigFile) -> Vec<Effective> {
    let known = <Settings as clap::Args>::augment_args(Command::new("tollbook"));
    let setting = |arg: &clap::Arg| {
        let name = arg.get_id().as_str();
        let variable = arg
            .get_env()
            .map(|it| it.to_string_lossy().into_owned())
            .unwrap_or_default();
        let source = match matches.value_source(name) {
            Some(ValueSource::CommandLine) => format!("--{}", name.replace('_', "-")),
            Some(ValueSource::EnvVariable) => variable,
            _ if file.has(name) => "tollbook.toml".to_owned(),
            _ => "default".to_owned(),
        };
        Effective {
            name: name.to_owned(),
            value: value(matches, name, arg.is_hide_env_values_set()),
            source,
        }
    };
    known.get_arguments().map(setting).collect()
}

fn value(matches: &ArgMatches, name: &str, is_secret: bool) -> Option<String> {
    let raw: Vec<_> = matches
        .get_raw(name)?
        .map(|it| it.to_string_lossy().into_owned())
        .collect();
    let text = raw.join(",");
    (!text.is_empty()).then(|| {
        if is_secret {
            "********".to_owned()
        } else {
            text
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    #[test]
    fn a_flag_wins_over_a_default_and_secrets_are_masked() {
        let command = Settings::augment_args(Command::new("tollbook"));
        let matches = command.get_matches_from([
            "tollbook",
            "--listen",
            "127.0.0.1:1",
            "--secret-key",
            "hidden",
        ]);
        let all = effective(&matches, &ConfigFile::default());
        let find = |name: &str| all.iter().find(|it| it.name == name).unwrap();
        assert_eq!(find("listen").source, "--listen");
        assert_eq!(find("secret_key").value.as_deref(), Some("********"));
        assert_eq!(
            (
                find("db_port").value.as_deref(),
                find("db_port").source.as_str()
            ),
            (Some("5432"), "default")
        );
        assert_eq!(find("server_url").value, None);
    }
}
