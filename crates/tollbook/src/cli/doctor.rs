//! `tollbook doctor`

use std::process::ExitCode;

use anyhow::Result;
use axum::http::{HeaderValue, Uri};
use clap::Args;
use serde::Serialize;
use tollbook_core::phone::E164;
use tollbook_postgres::Installation;

use super::database::{self, Builtin, Reached};
use super::{Given, output, secret_key};
use crate::app::App;
use crate::config::Settings;
use crate::{db, integrations, numbers};

/// The database's clock may differ from ours by so much.
const CLOCK_DIFFERENCE_MAX_SECONDS: i64 = 5;

/// Checks everything that can be wrong, and says what to do about it
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tollbook doctor\n  tollbook doctor --mapping +12505551234")]
pub(super) struct Doctor {
    /// Check only that this number's usage is counted for a tenant; changes nothing
    #[arg(long, value_name = "NUMBER")]
    mapping: Option<E164>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The outcome of one check.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    /// What was found.
    found: String,
    /// What to do, if something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            ok: true,
            found: found.into(),
            remedy: None,
        }
    }

    fn bad(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            check,
            ok: false,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }
}

impl Doctor {
    pub(super) async fn run(self, given: Given) -> Result<ExitCode> {
        let settings = given.settings;
        let findings = match &self.mapping {
            Some(number) => check_mapping(settings, number).await?,
            None => check_all(settings).await?,
        };
        let all_good = findings.iter().all(|it| it.ok);
        if self.json {
            output::json(&findings)?;
        } else {
            findings.iter().for_each(tell);
        }
        Ok(if all_good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

async fn check_all(settings: Settings) -> Result<Vec<Finding>> {
    let mut findings = check_settings(&settings);
    findings.push(check_programs(&settings));
    match database::reach(&settings, Builtin::Any).await {
        Ok(reached) => {
            findings.extend(check_database(settings, &reached).await);
            reached.close().await?;
        }
        Err(error) => findings.push(Finding::bad(
            "database",
            format!("{error:#}"),
            "check `DATABASE_URL` or `DB_*`, or leave them out to use the built-in one",
        )),
    }
    Ok(findings)
}

/// The checks of one number, on the database as it is.
async fn check_mapping(settings: Settings, number: &E164) -> Result<Vec<Finding>> {
    let reached = database::reach(&settings, Builtin::Any).await?;
    let app = database::application(settings, &reached.connection, 2).await?;
    let checks = numbers::check_mapping(&app, number).await;
    app.db.close().await;
    reached.close().await?;
    let findings = checks?.into_iter().map(|check| match check.found {
        Ok(found) => Finding::good(check.what, found),
        Err((found, remedy)) => Finding::bad(check.what, found, remedy),
    });
    Ok(findings.collect())
}

fn tell(finding: &Finding) {
    let mark = if finding.ok { "ok  " } else { "FAIL" };
    output::line(format!("{mark} {}: {}", finding.check, finding.found));
    if let Some(remedy) = &finding.remedy {
        output::line(format!("     -> {remedy}"));
    }
}

fn check_settings(settings: &Settings) -> Vec<Finding> {
    vec![
        check_server_url(settings),
        check_origins(settings),
        check_dev_auth(settings),
        check_jwt_secret(settings),
        check_leftovers(std::env::var_os("TWILIO_PHONE_NUMBER").is_some()),
    ]
}

fn check_server_url(settings: &Settings) -> Finding {
    const CHECK: &str = "server address";
    const REMEDY: &str = "set `SERVER_URL` to where browsers and providers reach this server, such as `https://calls.example.com`";
    let Some(url) = &settings.server_url else {
        return Finding::good(CHECK, "not set, webhooks from outside cannot be registered");
    };
    if is_web_address(url) {
        Finding::good(CHECK, url)
    } else {
        Finding::bad(CHECK, format!("`{url}` is no address"), REMEDY)
    }
}

fn is_web_address(text: &str) -> bool {
    text.parse::<Uri>()
        .is_ok_and(|it| matches!(it.scheme_str(), Some("http" | "https")) && it.host().is_some())
}

fn check_origins(settings: &Settings) -> Finding {
    const CHECK: &str = "browser origins";
    let is_origin = |it: &str| {
        let path = it.parse::<Uri>().ok().map(|uri| uri.path().to_owned());
        it.contains("://")
            && it.parse::<HeaderValue>().is_ok()
            && path.is_some_and(|it| it == "/" || it.is_empty())
    };
    match settings.cors_origins.iter().find(|it| !is_origin(it)) {
        Some(bad) => Finding::bad(
            CHECK,
            format!("`{bad}` in `CORS_ORIGINS` is no origin"),
            "write scheme and host only, such as `https://app.example.com`",
        ),
        None if settings.cors_origins.is_empty() => Finding::good(CHECK, "only this server's own"),
        None => Finding::good(CHECK, settings.cors_origins.join(", ")),
    }
}

fn check_dev_auth(settings: &Settings) -> Finding {
    const CHECK: &str = "development sign-in";
    match (settings.dev_auth, settings.listen.ip().is_loopback()) {
        (false, _) => Finding::good(CHECK, "off"),
        (true, true) => Finding::good(CHECK, "on, for this machine only"),
        (true, false) => Finding::bad(
            CHECK,
            format!("on, while listening on `{}`", settings.listen),
            "leave out `--dev-auth`, or listen on 127.0.0.1",
        ),
    }
}

fn check_jwt_secret(settings: &Settings) -> Finding {
    const CHECK: &str = "tokens of Supabase";
    if let Some(url) = settings
        .supabase_url
        .as_ref()
        .filter(|it| !is_web_address(it))
    {
        return Finding::bad(
            CHECK,
            format!("`{url}` is no address"),
            "set `SUPABASE_URL` to the project's address, such as `https://example.supabase.co`",
        );
    }
    match &settings.supabase_jwt_secret {
        None if settings.supabase_url.is_some() => Finding::good(CHECK, "taken, by public key"),
        None => Finding::good(CHECK, "not taken"),
        Some(secret) if secret.expose().len() < 32 => Finding::bad(
            CHECK,
            "the secret is short and could be guessed",
            "set `SUPABASE_JWT_SECRET` to the JWT secret of the project's settings, which is longer",
        ),
        Some(_) => Finding::good(CHECK, "taken"),
    }
}

fn check_leftovers(has_twilio_number: bool) -> Finding {
    const CHECK: &str = "settings of older systems";
    if has_twilio_number {
        Finding::bad(
            CHECK,
            "`TWILIO_PHONE_NUMBER` is set and ignored",
            "remove it: numbers are assigned to users, each of whom calls from their own",
        )
    } else {
        Finding::good(CHECK, "none")
    }
}

fn check_programs(settings: &Settings) -> Finding {
    const CHECK: &str = "PostgreSQL programs";
    if matches!(database::outside(settings), Ok(Some(_))) {
        return Finding::good(CHECK, "not needed, the database is elsewhere");
    }
    match Installation::find(settings.postgres_bin.as_deref(), None) {
        Ok(found) => Finding::good(CHECK, format!("version {}", found.major())),
        Err(error) => Finding::bad(
            CHECK,
            error.to_string(),
            "install PostgreSQL, or name its folder with `--postgres-bin`",
        ),
    }
}

async fn check_database(settings: Settings, reached: &Reached) -> Vec<Finding> {
    let mut findings = Vec::new();
    match db::inspect(&reached.connection).await {
        Ok(seen) => findings.extend(check_server(&seen)),
        Err(error) => {
            findings.push(Finding::bad(
                "database",
                error.to_string(),
                "check that the server runs and that the login and password are right",
            ));
            return findings;
        }
    }
    match database::application(settings, &reached.connection, 2).await {
        Ok(app) => {
            findings.push(Finding::good("schema", "of this version"));
            findings.push(check_key(&app).await);
            app.db.close().await;
        }
        Err(error) => findings.push(Finding::bad(
            "schema",
            format!("{error:#}"),
            "run `tollbook migrate` and see what it says",
        )),
    }
    findings
}

fn check_server(seen: &db::Seen) -> [Finding; 3] {
    let major = seen.version / 10_000;
    let version = if major >= i32::try_from(tollbook_postgres::VERSION_MIN).unwrap_or(i32::MAX) {
        Finding::good("database", format!("PostgreSQL {major}"))
    } else {
        Finding::bad(
            "database",
            format!("PostgreSQL {major} is too old"),
            format!("upgrade it to {} or newer", tollbook_postgres::VERSION_MIN),
        )
    };
    let rights = if seen.bypasses_policies {
        Finding::bad(
            "database login",
            "it is a superuser or bypasses row-level security, which then protects nothing",
            "use a login made with `create role tollbook login createrole`, as the owner of the database",
        )
    } else if seen.may_create_roles {
        Finding::good("database login", "bound by row-level security")
    } else {
        Finding::bad(
            "database login",
            "it may not create roles",
            "run `alter role tollbook createrole` as a superuser, with the name of the login",
        )
    };
    let difference = seen.clock_difference_seconds;
    let clock = if difference.abs() <= CLOCK_DIFFERENCE_MAX_SECONDS {
        Finding::good("clocks", "agree")
    } else {
        Finding::bad(
            "clocks",
            format!("the database's is {difference} seconds ahead of this machine's"),
            "set both machines by NTP",
        )
    };
    [version, rights, clock]
}

async fn check_key(app: &App) -> Finding {
    const CHECK: &str = "secret key";
    match integrations::credentials_open(app).await {
        Ok(true) => Finding::good(CHECK, "opens what is stored"),
        Ok(false) => Finding::bad(
            CHECK,
            "does not open the stored credentials",
            format!(
                "set `TOLLBOOK_SECRET_KEY` to the key of the other nodes, or bring back `{}` of the data folder",
                secret_key::FILE
            ),
        ),
        Err(error) => Finding::bad(CHECK, error.to_string(), "see the check of the database"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_setting_has_a_remedy() {
        let mut settings = Settings::defaults();
        assert!(check_settings(&settings).iter().all(|it| it.ok));
        settings.server_url = Some("calls.example.com".to_owned());
        settings.cors_origins = vec!["https://app.example.com/path".to_owned()];
        settings.dev_auth = true;
        settings.listen = "0.0.0.0:4000".parse().unwrap();
        settings.supabase_jwt_secret = Some("short".to_owned().into());
        let bad: Vec<_> = check_settings(&settings)
            .into_iter()
            .filter(|it| !it.ok)
            .collect();
        assert_eq!(bad.len(), 4);
        assert!(bad.iter().all(|it| it.remedy.is_some()));
        assert!(!check_leftovers(true).ok);
    }

    #[test]
    fn a_login_that_is_above_the_policies_is_refused() {
        let seen = db::Seen {
            version: 150_004,
            may_create_roles: true,
            bypasses_policies: true,
            clock_difference_seconds: 0,
        };
        let [version, rights, clock] = check_server(&seen);
        assert!(version.ok && !rights.ok && clock.ok);
        let [version, rights, clock] = check_server(&db::Seen {
            version: 140_000,
            may_create_roles: false,
            bypasses_policies: false,
            clock_difference_seconds: -60,
        });
        assert!(!version.ok && !rights.ok && !clock.ok);
    }
}
