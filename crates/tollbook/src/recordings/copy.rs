//! Copies a recording from the provider, before its link expires.

use tollbook_core::actor::Actor;
use tollbook_core::calls::{MediaUrl, Provider};
use tollbook_core::ids::OrganizationId;
use tollbook_providers::PhoneSystem;

use super::sql;
use crate::app::App;
use crate::error::{Error, Result};
use crate::integrations;
use crate::objects::ObjectStore as _;

/// Larger recordings are not copied: ten hours of the usual quality are half of this.
const BYTES_MAX: usize = 256 << 20;

/// Copies the recording if that has not been done. Doing it again changes nothing.
pub(crate) async fn copy(
    app: &App,
    organization: OrganizationId,
    provider: Provider,
    sid: &str,
) -> Result<()> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let found = sql::missing(&mut tx, organization, provider, sid).await?;
    drop(tx);
    let Some((id, url, integration)) = found else {
        return Ok(());
    };
    let file = match provider {
        // Only the account's credentials open them.
        Provider::Twilio => {
            let account = integrations::account(app, integration).await?;
            match account.phones() {
                PhoneSystem::Twilio(client) => client.recording_media(sid, BYTES_MAX).await,
                PhoneSystem::Openphone(_) => return Ok(()),
            }
        }
        Provider::Openphone | Provider::Mightycall => {
            app.http.download(&MediaUrl::new(url), BYTES_MAX).await
        }
    };
    let file = match file {
        Ok(file) => file,
        // A link that has expired does not open again, however often it is tried.
        Err(error @ tollbook_providers::Error::Rejected { .. }) if provider != Provider::Twilio => {
            tracing::info!(recording = %id, %error, "a recording cannot be copied any more");
            return Ok(());
        }
        Err(error) => {
            let text = format!("recording {id} cannot be fetched: {error}");
            return Err(Error::Unavailable(text));
        }
    };
    let key = format!("recordings/{organization}/{id}");
    app.objects
        .put(&key, file.bytes)
        .await
        .map_err(|e| Error::Unavailable(format!("recording {id} cannot be stored: {e}")))?;
    let mut tx = app.db.begin(&Actor::system()).await?;
    sql::set_object(&mut tx, organization, id, &key, file.media_type.as_deref()).await?;
    tx.commit().await?;
    Ok(())
}
