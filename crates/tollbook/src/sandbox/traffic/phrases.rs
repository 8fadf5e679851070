//! What people say and write on a made-up day.

use super::call::Line;

/// A conversation; the other side speaks first, then both in turn.
pub(super) struct Topic {
    turns: &'static [&'static str],
    pub(super) summary: &'static [&'static str],
}

impl Topic {
    pub(super) fn lines(&self) -> Vec<Line> {
        let speakers = [true, false].into_iter().cycle();
        let line = |(text, is_external): (&&str, bool)| Line {
            is_external,
            text: (*text).to_owned(),
        };
        self.turns.iter().zip(speakers).map(line).collect()
    }
}

pub(super) const TOPICS: &[Topic] = &[
    Topic {
        turns: &[
            "Hi, our printers stopped after this morning's update.",
            "Good morning. Is it all of them, or one floor?",
            "All of them. The queue just says offline.",
            "I see the print server. I am restarting the spooler now.",
            "There it goes. Thank you!",
        ],
        summary: &[
            "All printers were offline after an update.",
            "The spooler was restarted, printing works again.",
        ],
    },
    Topic {
        turns: &[
            "I have a question about last month's invoice.",
            "Of course. Which line is it?",
            "The two hours on the 14th.",
            "Those were the mailbox move on a Tuesday evening. I can send you the list of calls.",
            "Yes, please do.",
        ],
        summary: &[
            "Asked about two hours on the 14th.",
            "The list of calls is to be sent.",
        ],
    },
    Topic {
        turns: &[
            "We have someone new starting on Monday.",
            "Great. Do they need a laptop, or only an account?",
            "Both, and access to the shared calendar.",
            "I will set it up by Friday noon.",
        ],
        summary: &[
            "A new colleague starts on Monday.",
            "Laptop, account and calendar by Friday noon.",
        ],
    },
    Topic {
        turns: &[
            "The VPN asks for a code that I never get.",
            "Did you change your phone lately?",
            "Yes, last week.",
            "That is it. I have reset the second factor, please scan the new code.",
            "It works. Thanks.",
        ],
        summary: &[
            "Second factor was bound to an old phone.",
            "It was reset, and sign-in works.",
        ],
    },
    Topic {
        turns: &[
            "Our web shop is slow today.",
            "I see it. The database is busy with a report that has been running since nine.",
            "Can you stop it?",
            "Done. I will move the report to the night.",
        ],
        summary: &[
            "The shop was slow because of a report.",
            "The report was stopped and moved to the night.",
        ],
    },
];

pub(super) const VOICEMAILS: &[&str] = &[
    "Hi, please call me back when you have a minute. It is about the invoice.",
    "Hello, our internet is down again. We are at the office until six.",
    "Good morning, I would like to move our appointment to Thursday.",
    "It is me again. It works now, no need to call back.",
    "Hello, I was told to ask for the support desk. Please call me at this number.",
];

pub(super) const RECEIVED: &[&str] = &[
    "Thanks, that solved it!",
    "Are you open on Friday?",
    "Can somebody call me back this afternoon?",
    "Here is the serial number: 7Q2-1180",
    "Running ten minutes late",
    "Please resend the invoice to our new address",
    "Is the maintenance still on for tonight?",
];

pub(super) const SENT: &[&str] = &[
    "We are on it and will call you within the hour.",
    "Your appointment is confirmed for tomorrow at 10:00.",
    "The maintenance is done, everything is up again.",
    "Your invoice is ready. Thank you!",
    "Could you send us a photo of the error?",
    "We tried to reach you. Please call us back when you can.",
];
