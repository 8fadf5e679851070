//! `tollbook.toml`: one line per setting, named as in [`Settings`](super::Settings).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};

/// What a configuration file says.
#[derive(Debug, Default)]
pub(crate) struct ConfigFile {
    /// Values by setting, as text that a flag would take; lists have several.
    values: BTreeMap<String, Vec<String>>,
}

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigFileError {
    /// It was named but cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no TOML.
    #[error("`{}` is not valid: {message}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// It names something that is no setting.
    #[error("`{}` names `{name}`, which is no setting; `tollbook config` lists them", path.display())]
    Unknown {
        /// Which file.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// A value is a table or the like.
    #[error("`{}` gives `{name}` a value that is neither text, number, boolean nor a list of them", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// The name.
        name: String,
    },
}

impl ConfigFile {
    /// Reads `path`, or `tollbook.toml` in the current folder if there is one.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, ConfigFileError> {
        let chosen = path.unwrap_or_else(|| Path::new("tollbook.toml"));
        match std::fs::read_to_string(chosen) {
            Ok(text) => Self::parse(&text, chosen),
            Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(source) => Err(ConfigFileError::Unreadable {
                path: chosen.to_owned(),
                source,
            }),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigFileError> {
        let table: toml::Table =
            toml::from_str(text).map_err(|error| ConfigFileError::Malformed {
                path: path.to_owned(),
                message: error.message().to_owned(),
            })?;
        let mut values = BTreeMap::new();
        for (name, value) in table {
            let texts = match value {
                toml::Value::Array(items) => items.iter().map(scalar).collect(),
                single => scalar(&single).map(|text| vec![text]),
            };
            let Some(texts) = texts else {
                return Err(ConfigFileError::Unusable {
                    path: path.to_owned(),
                    name,
                });
            };
            values.insert(name, texts);
        }
        let file = Self { values };
        file.check_names(path)?;
        Ok(file)
    }

    fn check_names(&self, path: &Path) -> Result<(), ConfigFileError> {
        let known = <super::Settings as clap::Args>::augment_args(Command::new("tollbook"));
        let is_known = |name: &str| known.get_arguments().any(|arg| arg.get_id() == name);
        match self.values.keys().find(|name| !is_known(name)) {
            Some(name) => Err(ConfigFileError::Unknown {
                path: path.to_owned(),
                name: name.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Whether the file names this setting.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Makes the file's value the default of its flag: flag and environment still win over it.
    pub(crate) fn become_default(&self, arg: Arg) -> Arg {
        match self.values.get(arg.get_id().as_str()) {
            Some(values) => arg.default_values(values.clone()),
            None => arg,
        }
    }
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Float(_)
        | toml::Value::Datetime(_)
        | toml::Value::Array(_)
        | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_meant_is_refused_by_name() {
        let refusal = |text| {
            ConfigFile::parse(text, Path::new("tollbook.toml"))
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(refusal("lisen = 'x'"), @"`tollbook.toml` names `lisen`, which is no setting; `tollbook config` lists them");
        insta::assert_snapshot!(refusal("db_port = 5.5"), @"`tollbook.toml` gives `db_port` a value that is neither text, number, boolean nor a list of them");
        assert!(refusal("x = ").starts_with("`tollbook.toml` is not valid"));
    }
}
