//! An account at a provider, with its credentials in the clear, in memory only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{IntegrationId, OrganizationId};
use tollbook_providers::{Http, PhoneSystem, Secret, openphone, twilio};

use super::sql;
use crate::app::App;
use crate::error::{Error, Result};
use crate::ids::new_id;

/// A change of credentials reaches every node within this.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// The providers' own addresses.
const OPENPHONE_BASE_URL: &str = "https://api.quo.com";
const TWILIO_BASE_URL: &str = "https://api.twilio.com";

/// The secrets of an account, as they are sealed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "provider", rename_all = "snake_case")]
pub(crate) enum Credentials {
    /// OpenPhone: the key of a workspace, and the signing secrets of its hooks, those being rotated out included.
    Openphone {
        /// The key.
        api_key: String,
        /// The secrets.
        webhook_secrets: Vec<String>,
    },
    /// Twilio: an account with the token that opens it and signs its webhooks.
    Twilio {
        /// `AC…`
        account_sid: String,
        /// The token.
        auth_token: String,
        /// What else its webhooks may be signed with while the token is changed.
        #[serde(default)]
        webhook_secrets: Vec<String>,
        /// `AP…`: the application that numbers are bound to.
        #[serde(default)]
        app_sid: Option<String>,
    },
}

impl Credentials {
    /// Whose they are.
    fn provider(&self) -> Provider {
        match self {
            Self::Openphone { .. } => Provider::Openphone,
            Self::Twilio { .. } => Provider::Twilio,
        }
    }
}

/// An account at a provider.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: IntegrationId,
    /// None: the platform's own.
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) provider: Provider,
    phones: PhoneSystem,
    webhook_secrets: Vec<Secret>,
}

impl Account {
    /// The provider, to be asked.
    pub(crate) fn phones(&self) -> &PhoneSystem {
        &self.phones
    }

    /// What its webhooks are signed with.
    pub(crate) fn webhook_secrets(&self) -> &[Secret] {
        &self.webhook_secrets
    }
}

/// The accounts in use on this node.
#[derive(Debug)]
pub(crate) struct Accounts {
    http: Http,
    by_id: Mutex<HashMap<IntegrationId, (Instant, Arc<Account>)>>,
    /// The platform's own.
    platform: Mutex<HashMap<Provider, (Instant, IntegrationId)>>,
}

impl Accounts {
    /// None yet.
    pub(crate) fn new(http: Http) -> Self {
        Self {
            http,
            by_id: Mutex::default(),
            platform: Mutex::default(),
        }
    }

    fn recent(&self, id: IntegrationId) -> Option<Arc<Account>> {
        let accounts = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        accounts
            .get(&id)
            .filter(|(at, _)| at.elapsed() < KEPT_FOR)
            .map(|(_, account)| Arc::clone(account))
    }

    /// The next use reads the account anew.
    pub(super) fn forget(&self, id: IntegrationId) {
        self.by_id
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }

    fn recent_of_platform(&self, provider: Provider) -> Option<IntegrationId> {
        let platform = self.platform.lock().unwrap_or_else(PoisonError::into_inner);
        platform
            .get(&provider)
            .filter(|(at, _)| at.elapsed() < KEPT_FOR)
            .map(|(_, id)| *id)
    }

    fn keep_of_platform(&self, provider: Provider, id: IntegrationId) {
        let mut platform = self.platform.lock().unwrap_or_else(PoisonError::into_inner);
        platform.insert(provider, (Instant::now(), id));
    }

    fn keep(&self, account: &Arc<Account>) {
        let mut accounts = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|_, (at, _)| at.elapsed() < KEPT_FOR);
        accounts.insert(account.id, (Instant::now(), Arc::clone(account)));
    }
}

/// An active account. 404 for one that is not known.
pub(crate) async fn account(app: &App, id: IntegrationId) -> Result<Arc<Account>> {
    if let Some(account) = app.accounts.recent(id) {
        return Ok(account);
    }
    let mut tx = app.db.begin(&Actor::system()).await?;
    let stored = sql::integration(&mut tx, id)
        .await?
        .ok_or(Error::NotFound("integration"))?;
    tx.rollback().await?;
    let account = Arc::new(open(app, &stored)?);
    app.accounts.keep(&account);
    Ok(account)
}

/// The platform's own active account at a provider.
pub(crate) async fn platform_account(app: &App, provider: Provider) -> Result<Arc<Account>> {
    if let Some(id) = app.accounts.recent_of_platform(provider) {
        return account(app, id).await;
    }
    let mut tx = app.db.begin(&Actor::system()).await?;
    let id = sql::platform_integration(&mut tx, provider)
        .await?
        .ok_or(Error::NotFound("integration"))?;
    tx.rollback().await?;
    app.accounts.keep_of_platform(provider, id);
    account(app, id).await
}

/// The secrets of a stored account.
pub(super) fn credentials(app: &App, stored: &sql::Stored) -> Result<Credentials> {
    let sealed = stored
        .credentials
        .as_ref()
        .ok_or_else(|| Error::Unavailable("the integration has no credentials".into()))?;
    let opened = app.secrets.open(sealed, context(stored.id).as_bytes())?;
    serde_json::from_slice(&opened)
        .map_err(|_| Error::Internal("stored credentials cannot be read".into()))
}

/// Gives an account other secrets; its address stays.
pub(super) async fn replace_credentials(
    app: &App,
    tx: &mut PgConnection,
    stored: &sql::Stored,
    credentials: &Credentials,
) -> Result<()> {
    let sealed = seal(app, stored.id, credentials)?;
    let base_url = stored.base_url.as_deref();
    Ok(sql::set_credentials(tx, stored.id, base_url, &sealed).await?)
}

/// Fails with 404 unless the account is the organization's own. As `actor`, who asks.
pub(crate) async fn check_own(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    id: IntegrationId,
) -> Result<()> {
    let mut tx = app.db.begin(actor).await?;
    let own = sql::is_own(&mut tx, organization, id).await?;
    own.then_some(()).ok_or(Error::NotFound("integration"))
}

fn open(app: &App, stored: &sql::Stored) -> Result<Account> {
    let credentials = credentials(app, stored)?;
    let provider = credentials.provider();
    let (phones, webhook_secrets) =
        phone_system(&app.accounts.http, stored.base_url.as_deref(), credentials)
            .map_err(|e| Error::Internal(e.to_string()))?;
    Ok(Account {
        id: stored.id,
        organization: stored.organization,
        provider,
        phones,
        webhook_secrets: webhook_secrets.into_iter().map(Secret::new).collect(),
    })
}

/// The provider's client, and what its webhooks are signed with.
fn phone_system(
    http: &Http,
    base_url: Option<&str>,
    credentials: Credentials,
) -> Result<(PhoneSystem, Vec<String>), tollbook_providers::Malformed> {
    match credentials {
        Credentials::Openphone {
            api_key,
            webhook_secrets,
        } => {
            let base_url = base_url.unwrap_or(OPENPHONE_BASE_URL);
            let client = openphone::Client::new(http, base_url, Secret::new(api_key))?;
            Ok((PhoneSystem::Openphone(client), webhook_secrets))
        }
        Credentials::Twilio {
            account_sid,
            auth_token,
            mut webhook_secrets,
            app_sid: _,
        } => {
            let opening = twilio::Credentials {
                user: account_sid.clone(),
                account_sid,
                secret: Secret::new(auth_token.clone()),
            };
            let client = twilio::Client::new(http, base_url.unwrap_or(TWILIO_BASE_URL), opening)?;
            webhook_secrets.insert(0, auth_token);
            Ok((PhoneSystem::Twilio(client), webhook_secrets))
        }
    }
}

/// Sealed credentials open only for the account they were sealed for.
fn context(id: IntegrationId) -> String {
    format!("integration:{id}")
}

/// Connects an account: stores its credentials, sealed. The caller has checked who may.
pub(crate) async fn connect(
    app: &App,
    tx: &mut PgConnection,
    organization: Option<OrganizationId>,
    name: &str,
    base_url: Option<&str>,
    credentials: &Credentials,
) -> Result<IntegrationId> {
    let id: IntegrationId = new_id();
    let sealed = seal(app, id, credentials)?;
    sql::insert(
        tx,
        id,
        organization,
        credentials.provider(),
        name,
        base_url,
        &sealed,
    )
    .await?;
    Ok(id)
}

/// The active account of an organization with this name.
pub(crate) async fn find(
    tx: &mut PgConnection,
    organization: OrganizationId,
    name: &str,
) -> Result<Option<IntegrationId>> {
    Ok(sql::named(tx, organization, name).await?)
}

/// Gives an account other credentials, and another address. The caller has checked who may.
pub(crate) async fn set_credentials(
    app: &App,
    id: IntegrationId,
    base_url: Option<&str>,
    credentials: &Credentials,
) -> Result<()> {
    let sealed = seal(app, id, credentials)?;
    let mut tx = app.db.begin(&Actor::system()).await?;
    sql::set_credentials(&mut tx, id, base_url, &sealed).await?;
    tx.commit().await?;
    app.accounts.forget(id);
    Ok(())
}

/// Makes the platform's own accounts follow the settings, which win over what is stored: `OPENPHONE_API_KEY` with
/// `OPENPHONE_WEBHOOK_SECRET` and `OPENPHONE_BASE_URL`, `TWILIO_ACCOUNT_SID` with `TWILIO_AUTH_TOKEN`, `TWILIO_APP_SID`
/// and `TWILIO_BASE_URL`. Without a key nothing changes.
pub(crate) async fn follow_settings(app: &App) -> Result<()> {
    let settings = &app.settings;
    let openphone = settings.openphone_api_key.as_ref().map(|api_key| {
        let secret = settings.openphone_webhook_secret.as_ref();
        Credentials::Openphone {
            api_key: api_key.expose().to_owned(),
            webhook_secrets: secret.map(|s| s.expose().to_owned()).into_iter().collect(),
        }
    });
    let account = settings.twilio_account_sid.as_ref();
    let twilio = account.zip(settings.twilio_auth_token.as_ref());
    let twilio = twilio.map(|(account_sid, auth_token)| Credentials::Twilio {
        account_sid: account_sid.clone(),
        auth_token: auth_token.expose().to_owned(),
        webhook_secrets: Vec::new(),
        app_sid: settings.twilio_app_sid.clone(),
    });
    for (name, credentials, base_url) in [
        ("OpenPhone", openphone, &settings.openphone_base_url),
        ("Twilio", twilio, &settings.twilio_base_url),
    ] {
        if let Some(credentials) = credentials {
            follow(app, name, &credentials, base_url.as_deref()).await?;
        }
    }
    Ok(())
}

async fn follow(
    app: &App,
    name: &str,
    credentials: &Credentials,
    base_url: Option<&str>,
) -> Result<()> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    match sql::platform_integration(&mut tx, credentials.provider()).await? {
        Some(id) => {
            sql::set_credentials(&mut tx, id, base_url, &seal(app, id, credentials)?).await?;
        }
        None => drop(connect(app, &mut tx, None, name, base_url, credentials).await?),
    }
    tx.commit().await?;
    Ok(())
}

fn seal(app: &App, id: IntegrationId, credentials: &Credentials) -> Result<Vec<u8>> {
    let plain = serde_json::to_vec(credentials)
        .map_err(|_| Error::Internal("credentials cannot be written".into()))?;
    app.secrets.seal(&plain, context(id).as_bytes())
}

/// Whether the credentials that are stored open with the secret key of this installation.
pub(crate) async fn credentials_open(app: &App) -> Result<bool> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let sealed = sql::any_sealed(&mut tx).await?;
    Ok(sealed.is_none_or(|(id, sealed)| app.secrets.open(&sealed, context(id).as_bytes()).is_ok()))
}
