//! The sandbox's records in the provider's words.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::{Value, json};

use super::records::{Account, Call, Message, Number, Recording};

/// A begun minute of an incoming leg, of any other leg, a part of a message and a begun minute of a recording, in
/// units of a hundred thousandth of a dollar.
const INCOMING_MINUTE: u64 = 850;
const OUTGOING_MINUTE: u64 = 1_400;
const SEGMENT: u64 = 790;
const RECORDING_MINUTE: u64 = 250;

/// A date of mail, in UTC.
pub(super) fn date(at: Timestamp) -> String {
    // Every instant of a timestamp is within the years that the format knows.
    rfc2822::to_string(&at.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default()
}

fn date_or_null(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| date(at).into())
}

/// A price in units of a hundred thousandth of a dollar, as the provider writes it.
fn price(units: u64, sign: &str) -> String {
    format!("{sign}{}.{:05}", units / 100_000, units % 100_000)
}

pub(super) fn account(account: &Account) -> Value {
    json!({
        "sid": account.sid, "friendly_name": account.name, "status": "active", "type": "Full",
        "owner_account_sid": account.sid, "date_created": date(account.created_at),
        "date_updated": date(account.created_at),
    })
}

pub(super) fn number(account: &Account, number: &Number) -> Value {
    json!({
        "sid": number.sid, "account_sid": account.sid, "phone_number": number.e164, "friendly_name": number.name,
        "capabilities": {"voice": true, "sms": true, "mms": true, "fax": false}, "status": "in-use", "type": "local",
        "voice_url": number.voice_url, "voice_method": "POST", "status_callback": number.status_url,
        "status_callback_method": "POST", "sms_url": number.sms_url, "sms_method": "POST",
        "voice_application_sid": "", "sms_application_sid": "", "api_version": "2010-04-01",
        "date_created": date(number.created_at), "date_updated": date(number.created_at),
        "uri": format!("/2010-04-01/Accounts/{}/IncomingPhoneNumbers/{}.json", account.sid, number.sid),
    })
}

pub(super) fn available(number: &str) -> Value {
    json!({
        "friendly_name": number, "phone_number": number, "locality": "Washington", "region": "DC",
        "postal_code": "20001", "iso_country": "US", "address_requirements": "none", "beta": false,
        "capabilities": {"voice": true, "SMS": true, "MMS": true},
    })
}

pub(super) fn call(account: &Account, call: &Call) -> Value {
    let minutes = u64::from(call.seconds.unwrap_or(0).div_ceil(60));
    let rate = if call.direction == "inbound" {
        INCOMING_MINUTE
    } else {
        OUTGOING_MINUTE
    };
    let price = call.is_priced.then(|| price(minutes * rate, "-"));
    json!({
        "sid": call.sid, "account_sid": account.sid, "parent_call_sid": call.parent_sid,
        "phone_number_sid": call.number_sid.as_deref().unwrap_or_default(), "from": call.from, "to": call.to,
        "status": call.status, "direction": call.direction, "start_time": date_or_null(call.started_at),
        "end_time": date_or_null(call.ended_at), "duration": call.seconds.map(|seconds| seconds.to_string()),
        "price": price, "price_unit": "USD", "answered_by": null, "forwarded_from": null, "caller_name": null,
        "queue_time": "0", "api_version": "2010-04-01", "date_created": date(call.created_at),
        "date_updated": date(call.updated_at),
        "uri": format!("/2010-04-01/Accounts/{}/Calls/{}.json", account.sid, call.sid),
    })
}

pub(super) fn recording(account: &Account, recording: &Recording) -> Value {
    let minutes = u64::from(recording.seconds.div_ceil(60));
    // Of recordings the price is positive.
    let price = recording
        .is_priced
        .then(|| price(minutes * RECORDING_MINUTE, ""));
    json!({
        "sid": recording.sid, "account_sid": account.sid, "call_sid": recording.call_sid, "conference_sid": null,
        "channels": 1, "duration": recording.seconds.to_string(), "price": price, "price_unit": "USD",
        "source": recording.source, "status": "completed", "error_code": null,
        "start_time": date(recording.started_at), "date_created": date(recording.started_at),
        "date_updated": date(recording.started_at), "api_version": "2010-04-01",
        "uri": format!("/2010-04-01/Accounts/{}/Recordings/{}.json", account.sid, recording.sid),
    })
}

pub(super) fn message(account: &Account, message: &Message) -> Value {
    let segments = message.segments();
    let units = SEGMENT.saturating_mul(u64::try_from(segments).unwrap_or(u64::MAX));
    json!({
        "sid": message.sid, "account_sid": account.sid, "messaging_service_sid": null, "from": message.from,
        "to": message.to, "body": message.body, "num_segments": segments.to_string(), "num_media": "0",
        "status": message.status, "direction": message.direction,
        "price": message.is_priced.then(|| price(units, "-")), "price_unit": "USD",
        "error_code": message.error_code(), "error_message": null, "api_version": "2010-04-01",
        "date_created": date(message.created_at), "date_sent": date_or_null(message.sent_at),
        "date_updated": date(message.updated_at),
        "uri": format!("/2010-04-01/Accounts/{}/Messages/{}.json", account.sid, message.sid),
    })
}

/// What numbers of the pool's country cost by the month.
pub(super) fn number_prices() -> Value {
    let price = |kind: &str, price: &str| json!({"number_type": kind, "base_price": price, "current_price": price});
    json!({
        "country": "United States", "iso_country": "US", "price_unit": "USD",
        "phone_number_prices": [price("local", "1.15"), price("toll free", "2.15")],
    })
}
