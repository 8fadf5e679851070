//! Numbers: searched, bought, pointed at us, released.

use reqwest::{Method, StatusCode};
use tollbook_core::phone::E164;

use super::client::{Client, explain, line};
use super::wire::{Number, Page};
use crate::{Error, Malformed, PhoneLine};

/// Which numbers to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Two letters, such as `US`.
    pub country: String,
    /// The kind of number.
    pub kind: NumberKind,
    /// The three digits after the country code, in the United States and Canada.
    pub area_code: Option<String>,
    /// Digits and `*`, 2 to 16 characters.
    pub contains: Option<String>,
    /// Whether it has to send and receive messages.
    pub with_messages: bool,
    /// At most so many, 1 to 1,000.
    pub limit: u16,
}

/// The kinds of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberKind {
    /// Of a place.
    Local,
    /// The called side pays.
    TollFree,
    /// Of a mobile network; not in the United States and Canada.
    Mobile,
}

/// A number that can be bought. It is not reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The number.
    pub number: E164,
    /// Its place.
    pub locality: Option<String>,
    /// Its state or region.
    pub region: Option<String>,
    /// Whether it can call.
    pub has_voice: bool,
    /// Whether it can send and receive messages.
    pub has_messages: bool,
}

/// Where the provider sends what happens on a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberHooks {
    /// For instructions when somebody calls.
    pub voice_url: String,
    /// When a call is over.
    pub status_url: String,
    /// When a message comes in.
    pub sms_url: String,
}

impl Client {
    /// Numbers that can be bought.
    pub async fn search(&self, search: &Search) -> Result<Vec<Offer>, Error> {
        let kind = match search.kind {
            NumberKind::Local => "Local",
            NumberKind::TollFree => "TollFree",
            NumberKind::Mobile => "Mobile",
        };
        let limit = search.limit.to_string();
        let mut query = vec![("PageSize", limit.as_str())];
        query.extend(search.area_code.as_deref().map(|code| ("AreaCode", code)));
        query.extend(
            search
                .contains
                .as_deref()
                .map(|digits| ("Contains", digits)),
        );
        query.extend(search.with_messages.then_some(("SmsEnabled", "true")));
        let path = ["AvailablePhoneNumbers", &search.country, kind];
        let page: Page = self.get("available numbers", &path, &query).await?;
        let offers = page.available_phone_numbers.into_iter().map(|found| {
            let number = found.phone_number.parse().map_err(|_| {
                Malformed::new("available numbers", "a number is not in E.164 form")
            })?;
            Ok(Offer {
                number,
                locality: found.locality,
                region: found.region,
                has_voice: found.capabilities.voice,
                has_messages: found.capabilities.sms,
            })
        });
        offers.collect()
    }

    /// Buys a number and points it at us. A number that the account already holds is not bought again, so a purchase
    /// whose answer was lost can simply be asked for once more.
    pub async fn buy(&self, number: &E164, hooks: &NumberHooks) -> Result<PhoneLine, Error> {
        let query = [("PhoneNumber", number.as_str())];
        let path = ["IncomingPhoneNumbers"];
        let held = self
            .all("phone numbers", &path, &query, |page| {
                page.incoming_phone_numbers
            })
            .await?;
        // The filter matches parts of numbers as well.
        if let Some(held) = held.into_iter().find(|one| one.e164 == number.as_str()) {
            return self.point(&held.sid, hooks).await;
        }
        let mut fields = vec![("PhoneNumber", number.as_str())];
        fields.extend(hook_fields(hooks));
        let answer = self.send(Method::POST, self.url(&path), &fields).await?;
        line(answer.json::<Number>("phone number", explain)?)
    }

    /// Points a number at us.
    pub async fn point(&self, sid: &str, hooks: &NumberHooks) -> Result<PhoneLine, Error> {
        let url = self.url(&["IncomingPhoneNumbers", sid]);
        let answer = self.send(Method::POST, url, &hook_fields(hooks)).await?;
        line(answer.json::<Number>("phone number", explain)?)
    }

    /// Gives a number back, for good. One that is already gone is no error.
    pub async fn release(&self, sid: &str) -> Result<(), Error> {
        let url = self.url(&["IncomingPhoneNumbers", sid]);
        let answer = self.send(Method::DELETE, url, &[]).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        answer.success(explain).map(drop)
    }
}

fn hook_fields(hooks: &NumberHooks) -> [(&str, &str); 3] {
    [
        ("VoiceUrl", &hooks.voice_url),
        ("StatusCallback", &hooks.status_url),
        ("SmsUrl", &hooks.sms_url),
    ]
}
