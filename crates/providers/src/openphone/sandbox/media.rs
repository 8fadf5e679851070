//! Recordings and voicemails: links that expire.

use jiff::Timestamp;

use super::state::State;

impl State {
    /// A link to a recording or voicemail, good for a while by the sandbox's clock.
    pub(super) fn media_url(&self, sid: &str, seconds: u32) -> String {
        let expires = self
            .now
            .checked_add(self.link_ttl)
            .unwrap_or(Timestamp::MAX);
        let expires = expires.as_second();
        let signature = self.media_signature(sid, seconds, expires);
        format!(
            "{}/_media/{sid}/{seconds}?expires={expires}&signature={signature}",
            self.base_url
        )
    }

    /// Whether a link is the sandbox's and has not expired.
    pub(super) fn is_media_open(
        &self,
        sid: &str,
        seconds: u32,
        expires: i64,
        signature: &str,
    ) -> bool {
        expires >= self.now.as_second() && signature == self.media_signature(sid, seconds, expires)
    }

    fn media_signature(&self, sid: &str, seconds: u32, expires: i64) -> String {
        hex::encode(self.digest(&format!("media:{sid}:{seconds}:{expires}")))
    }
}
