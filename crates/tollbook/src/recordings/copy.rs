//! Copies a recording from the provider, whose links expire.

use tollbook_core::actor::Actor;
use tollbook_core::calls::{MediaUrl, ProcessingState, Provider, RecordingFact};
use tollbook_core::ids::OrganizationId;
use tollbook_providers::{Download, Error as ProviderError, PhoneSystem};

use super::sql::{self, Missing};
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
    let Some(missing) = found else {
        return Ok(());
    };
    let id = missing.id;
    let Some(file) = fetch(app, provider, sid, &missing).await? else {
        tracing::info!(recording = %id, "the provider has a recording no more");
        let mut tx = app.db.begin(&Actor::system()).await?;
        sql::give_up(&mut tx, organization, id, app.clock.now()).await?;
        tx.commit().await?;
        return Ok(());
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

/// The file; `None` once the provider says that there is none.
async fn fetch(
    app: &App,
    provider: Provider,
    sid: &str,
    missing: &Missing,
) -> Result<Option<Download>> {
    let unavailable = |error: ProviderError| {
        let text = format!("recording {} cannot be fetched: {error}", missing.id);
        Error::Unavailable(text)
    };
    if provider == Provider::Twilio {
        // Only the account's credentials open them.
        let account = integrations::account(app, missing.integration).await?;
        let PhoneSystem::Twilio(client) = account.phones() else {
            return Ok(None);
        };
        let file = client.recording_media(sid, BYTES_MAX).await;
        return file.map(Some).map_err(unavailable);
    }
    match app.http.download(&missing.url, BYTES_MAX).await {
        Ok(file) => Ok(Some(file)),
        // A link that has expired does not open again, however often it is tried.
        Err(ProviderError::Rejected { .. }) => match fresh_link(app, sid, missing).await? {
            Some(url) => {
                let file = app.http.download(&url, BYTES_MAX).await;
                file.map(Some).map_err(unavailable)
            }
            None => Ok(None),
        },
        Err(error) => Err(unavailable(error)),
    }
}

/// Asks the provider for a link that works; `None` if it has no such recording.
async fn fresh_link(app: &App, sid: &str, missing: &Missing) -> Result<Option<MediaUrl>> {
    let account = integrations::account(app, missing.integration).await?;
    let PhoneSystem::Openphone(client) = account.phones() else {
        return Ok(None);
    };
    let recordings = client.recordings(&missing.call_sid).await?;
    let Some(fact) = of_sid(recordings, sid) else {
        return Ok(None);
    };
    match (fact.state, fact.media) {
        (ProcessingState::Absent | ProcessingState::Failed | ProcessingState::Deleted, _)
        | (ProcessingState::Completed, None) => Ok(None),
        (ProcessingState::Completed, Some(media)) => Ok(Some(media.url)),
        (ProcessingState::InProgress, _) => {
            let text = format!("recording {} is not finished", missing.id);
            Err(Error::Unavailable(text))
        }
    }
}

/// The recording of that id; of a webhook that gave none, the one at that place of the call's.
fn of_sid(recordings: Vec<RecordingFact>, sid: &str) -> Option<RecordingFact> {
    let place = sid
        .rsplit_once('/')
        .and_then(|(_, place)| place.parse().ok());
    let mut recordings = recordings.into_iter();
    match place {
        Some(place) => recordings.nth(usize::checked_sub(place, 1)?),
        None => recordings.find(|fact| fact.sid == sid),
    }
}
