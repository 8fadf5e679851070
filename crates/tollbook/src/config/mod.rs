//! Settings: flag, then environment, then `tollbook.toml`, then default. None is needed to start.

mod file;
mod masked;
mod sources;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;

pub(crate) use file::{ConfigFile, ConfigFileError};
pub use masked::Masked;
pub(crate) use sources::{Effective, effective};

/// Every setting. The name of a field is its name in `tollbook.toml`.
///
/// A field whose environment value is hidden holds a secret and is never shown.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Where the built-in database and the secret key are kept
    #[arg(long, env = "TOLLBOOK_DATA_DIR", value_name = "FOLDER", global = true)]
    pub data_dir: Option<PathBuf>,
    /// An outside database, instead of the built-in one
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        global = true
    )]
    pub database_url: Option<Masked>,
    /// Host of an outside database, when there is no URL
    #[arg(
        long,
        env = "DB_HOST",
        value_name = "HOST",
        hide_short_help = true,
        global = true
    )]
    pub db_host: Option<String>,
    /// Port of the outside database
    #[arg(
        long,
        env = "DB_PORT",
        value_name = "PORT",
        default_value_t = 5432,
        hide_short_help = true,
        global = true
    )]
    pub db_port: u16,
    /// Login at the outside database
    #[arg(
        long,
        env = "DB_USERNAME",
        value_name = "NAME",
        hide_short_help = true,
        global = true
    )]
    pub db_username: Option<String>,
    /// Password of that login
    #[arg(
        long,
        env = "DB_PASSWORD",
        value_name = "PASSWORD",
        hide_env_values = true,
        hide_short_help = true,
        global = true
    )]
    pub db_password: Option<Masked>,
    /// Name of the outside database
    #[arg(
        long,
        env = "DB_DATABASE",
        value_name = "NAME",
        hide_short_help = true,
        global = true
    )]
    pub db_database: Option<String>,
    /// Sessions that this node opens at the database at most, besides 7 for taking in and rating and one for listening
    #[arg(
        long,
        env = "TOLLBOOK_DATABASE_SESSIONS",
        value_name = "COUNT",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(2..=1000),
        hide_short_help = true,
        global = true
    )]
    pub database_sessions: u32,
    /// Folder of the `PostgreSQL` programs, for the built-in database
    #[arg(
        long,
        env = "TOLLBOOK_POSTGRES_BIN",
        value_name = "FOLDER",
        hide_short_help = true,
        global = true
    )]
    pub postgres_bin: Option<PathBuf>,
    /// Address to listen on
    #[arg(
        long,
        env = "TOLLBOOK_LISTEN",
        value_name = "ADDRESS",
        default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 4000)),
        global = true
    )]
    pub listen: SocketAddr,
    /// Public address of this server, such as `https://calls.example.com`
    #[arg(
        long,
        env = "SERVER_URL",
        value_name = "URL",
        hide_short_help = true,
        global = true
    )]
    pub server_url: Option<String>,
    /// Accept `x-user-id` as a credential; listens on loopback only
    #[arg(
        long,
        env = "TOLLBOOK_DEV_AUTH",
        value_parser = clap::builder::BoolishValueParser::new(),
        hide_short_help = true,
        global = true
    )]
    pub dev_auth: bool,
    /// Encrypts credentials and signs tokens; the same on all nodes, at least 32 characters
    #[arg(
        long,
        env = "TOLLBOOK_SECRET_KEY",
        value_name = "KEY",
        hide_env_values = true,
        hide_short_help = true,
        global = true
    )]
    pub secret_key: Option<Masked>,
    /// Address of a Supabase project, whose public keys verify its users' tokens (RS256, ES256)
    #[arg(
        long,
        env = "SUPABASE_URL",
        value_name = "URL",
        hide_short_help = true,
        global = true
    )]
    pub supabase_url: Option<String>,
    /// Verifies the tokens of Supabase users (HS256)
    #[arg(
        long,
        env = "SUPABASE_JWT_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        hide_short_help = true,
        global = true
    )]
    pub supabase_jwt_secret: Option<Masked>,
    /// The key that is the platform service
    #[arg(
        long,
        env = "SUPABASE_SERVICE_KEY",
        value_name = "KEY",
        hide_env_values = true,
        hide_short_help = true,
        global = true
    )]
    pub supabase_service_key: Option<Masked>,
    /// Origins that may call the API from a browser, separated by commas
    #[arg(
        long,
        env = "CORS_ORIGINS",
        value_name = "ORIGINS",
        value_delimiter = ',',
        hide_short_help = true,
        global = true
    )]
    pub cors_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed, separated by commas; loopback always is
    #[arg(
        long,
        env = "TOLLBOOK_TRUSTED_PROXIES",
        value_name = "ADDRESSES",
        value_delimiter = ',',
        hide_short_help = true,
        global = true
    )]
    pub trusted_proxies: Vec<IpAddr>,
    /// Token for `/metrics`; without one only loopback may read them
    #[arg(
        long,
        env = "METRICS_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        hide_short_help = true,
        global = true
    )]
    pub metrics_token: Option<Masked>,
    /// Key of the platform's own OpenPhone workspace
    #[arg(
        long,
        env = "OPENPHONE_API_KEY",
        value_name = "KEY",
        hide_env_values = true,
        hide_short_help = true,
        global = true
    )]
    pub openphone_api_key: Option<Masked>,
    /// What that workspace signs its webhooks with
    #[arg(
        long,
        env = "OPENPHONE_WEBHOOK_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        hide_short_help = true,
        global = true
    )]
    pub openphone_webhook_secret: Option<Masked>,
    /// Where OpenPhone is, if not at its own address
    #[arg(
        long,
        env = "OPENPHONE_BASE_URL",
        value_name = "URL",
        hide_short_help = true,
        global = true
    )]
    pub openphone_base_url: Option<String>,
    /// The platform's own Twilio account
    #[arg(
        long,
        env = "TWILIO_ACCOUNT_SID",
        value_name = "SID",
        hide_short_help = true,
        global = true
    )]
    pub twilio_account_sid: Option<String>,
    /// What opens that account and signs its webhooks
    #[arg(
        long,
        env = "TWILIO_AUTH_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        hide_short_help = true,
        global = true
    )]
    pub twilio_auth_token: Option<Masked>,
    /// The application at Twilio that numbers of that account are bound to
    #[arg(
        long,
        env = "TWILIO_APP_SID",
        value_name = "SID",
        hide_short_help = true,
        global = true
    )]
    pub twilio_app_sid: Option<String>,
    /// Where Twilio is, if not at its own address
    #[arg(
        long,
        env = "TWILIO_BASE_URL",
        value_name = "URL",
        hide_short_help = true,
        global = true
    )]
    pub twilio_base_url: Option<String>,
    /// Requests per second of one user; ten times as many at once
    #[arg(
        long,
        env = "TOLLBOOK_RATE_LIMIT_USER",
        value_name = "COUNT",
        default_value = "50",
        hide_short_help = true,
        global = true
    )]
    pub rate_limit_user: NonZeroU32,
    /// Requests per second of one API key; ten times as many at once
    #[arg(
        long,
        env = "TOLLBOOK_RATE_LIMIT_KEY",
        value_name = "COUNT",
        default_value = "2000",
        hide_short_help = true,
        global = true
    )]
    pub rate_limit_key: NonZeroU32,
    /// Requests per second of one address without credentials; ten times as many at once
    #[arg(
        long,
        env = "TOLLBOOK_RATE_LIMIT_ADDRESS",
        value_name = "COUNT",
        default_value = "50",
        hide_short_help = true,
        global = true
    )]
    pub rate_limit_address: NonZeroU32,
}

impl Settings {
    /// The defaults alone, without environment or file.
    pub fn defaults() -> Self {
        #[derive(Debug, clap::Parser)]
        struct Alone {
            #[command(flatten)]
            settings: Settings,
        }
        let command = <Alone as clap::CommandFactory>::command().mut_args(|arg| arg.env(None));
        let parsed = command
            .try_get_matches_from(["tollbook"])
            .and_then(|matches| <Alone as clap::FromArgMatches>::from_arg_matches(&matches));
        match parsed {
            Ok(alone) => alone.settings,
            Err(error) => unreachable!("defaults are valid, which a test shows: {error}"),
        }
    }

    /// Whether browsers reach this server by https, so that cookies may say so.
    pub(crate) fn is_https(&self) -> bool {
        self.server_url
            .as_deref()
            .is_some_and(|url| url.starts_with("https://"))
    }

    /// A setting that is given but empty, as compose files do, is not given.
    pub(crate) fn without_empty(mut self) -> Self {
        for masked in [
            &mut self.database_url,
            &mut self.db_password,
            &mut self.secret_key,
            &mut self.supabase_jwt_secret,
            &mut self.supabase_service_key,
            &mut self.metrics_token,
            &mut self.openphone_api_key,
            &mut self.openphone_webhook_secret,
            &mut self.twilio_auth_token,
        ] {
            *masked = masked.take().filter(|it| !it.expose().is_empty());
        }
        for text in [
            &mut self.db_host,
            &mut self.db_username,
            &mut self.db_database,
            &mut self.server_url,
            &mut self.supabase_url,
            &mut self.openphone_base_url,
            &mut self.twilio_account_sid,
            &mut self.twilio_app_sid,
            &mut self.twilio_base_url,
        ] {
            *text = text.take().filter(|it| !it.is_empty());
        }
        self.data_dir = self.data_dir.filter(|it| !it.as_os_str().is_empty());
        self.cors_origins.retain(|it| !it.is_empty());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_hold_no_secret() {
        let settings = Settings::defaults();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:4000");
        assert!(settings.secret_key.is_none() && !settings.dev_auth && !settings.is_https());
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let settings = Settings {
            secret_key: Some(Masked::from("hidden-value".to_owned())),
            ..Settings::defaults()
        };
        assert!(!format!("{settings:?}").contains("hidden-value"));
    }
}
