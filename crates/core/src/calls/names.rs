//! The closed sets of names that describe communications.

use crate::named::named;

named! {
    /// Who carries calls and messages.
    Provider("provider") {
        /// OpenPhone, also called Quo.
        Openphone = "openphone",
        /// Twilio.
        Twilio = "twilio",
        /// MightyCall.
        Mightycall = "mightycall",
    }
}

named! {
    /// Seen from the organization.
    Direction("direction") {
        /// Somebody calls or writes to the organization.
        Incoming = "incoming",
        /// The organization calls or writes to somebody.
        Outgoing = "outgoing",
    }
}

named! {
    /// How far a call is. It only moves forward.
    Phase("call phase") {
        /// Asked for, not yet put through.
        Queued = "queued",
        /// Ringing.
        Ringing = "ringing",
        /// Somebody talks.
        InProgress = "in_progress",
        /// Over.
        Ended = "ended",
    }
}

named! {
    /// How a call ended. Where several legs ended differently, the first of this order that applies is the call's.
    Outcome("call outcome") {
        /// A person talked.
        Answered = "answered",
        /// Not answered, and the caller left a message.
        Voicemail = "voicemail",
        /// Sent on to another number.
        Forwarded = "forwarded",
        /// Nobody picked up, in either direction.
        Missed = "missed",
        /// The caller hung up before anybody could pick up.
        Abandoned = "abandoned",
        /// The line was busy.
        Busy = "busy",
        /// It could not be put through.
        Failed = "failed",
        /// Withdrawn by the calling side before it was answered.
        Canceled = "canceled",
    }
}

named! {
    /// How far a message is.
    MessageStatus("message status") {
        /// Accepted by us or the provider.
        Queued = "queued",
        /// Handed to the carrier.
        Sent = "sent",
        /// Arrived at the phone.
        Delivered = "delivered",
        /// Incoming and complete.
        Received = "received",
        /// The carrier could not deliver it.
        Undelivered = "undelivered",
        /// The provider refused it or gave up.
        Failed = "failed",
    }
}

named! {
    /// How far the provider is with a recording, transcript or summary.
    ProcessingState("processing state") {
        /// There is none, or the provider's plan has none.
        Absent = "absent",
        /// Being made.
        InProgress = "in_progress",
        /// Ready.
        Completed = "completed",
        /// Could not be made.
        Failed = "failed",
        /// Was there, and was removed at the provider.
        Deleted = "deleted",
    }
}
