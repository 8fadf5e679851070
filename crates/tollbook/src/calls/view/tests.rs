//! The pages of calls: notices, cards, rows, explanations, and what an empty list says.

use askama::Template;
use scraper::{Html, Selector};

use super::call::Transcript;
use super::card::Notice;
use super::live::{RingingCall, RingingCaller};
use super::{Direction, Outcome};
use crate::pages::Price;
use crate::pages::reply::Fragments;
use crate::pages::samples::{self, party, usd};

fn texts(html: &str, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).unwrap();
    let squeeze = |it: scraper::ElementRef<'_>| {
        it.text()
            .collect::<String>()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    Html::parse_document(html)
        .select(&selector)
        .map(squeeze)
        .collect()
}

fn attributes(html: &str, selector: &str, name: &str) -> Vec<String> {
    let selector = Selector::parse(selector).unwrap();
    Html::parse_document(html)
        .select(&selector)
        .filter_map(|it| it.attr(name).map(str::to_owned))
        .collect()
}

fn ringing(caller: RingingCaller) -> RingingCall {
    RingingCall {
        caller,
        ..samples::unknown_caller()
    }
}

fn shown_notice(notice: Notice) -> String {
    let html = ringing(RingingCaller::Unknown {
        notice,
        naming: None,
    })
    .to_string();
    texts(&html, ".notice b").remove(0)
}

#[test]
fn the_three_notices_are_word_for_word() {
    assert_eq!(
        shown_notice(samples::notice("2.5")),
        "Subscriber calling - 2.5 hours remaining"
    );
    assert_eq!(
        shown_notice(Notice::PayPerCall { rate: None }),
        "Non-subscriber calling - will be billed"
    );
    assert_eq!(
        shown_notice(Notice::Expired { rate: None }),
        "Subscription expired - switching to per-call"
    );
}

#[test]
fn used_up_hours_are_told_from_a_missing_subscription() {
    assert_eq!(
        shown_notice(Notice::Overage),
        "Subscriber calling - hours used up, billed as overage"
    );
}

#[test]
fn large_figures_are_grouped() {
    let mut tiles = samples::live().tiles;
    tiles.answered_today = 12_345;
    assert!(
        texts(&tiles.to_string(), "dd")
            .iter()
            .any(|it| it.starts_with("12,345"))
    );
}

#[test]
fn the_price_per_minute_stands_beside_the_notice() {
    let notice = Notice::Expired {
        rate: Some(usd(150)),
    };
    let html = ringing(RingingCaller::Withheld { notice }).to_string();
    assert_eq!(texts(&html, ".notice .rate"), ["$1.50 per minute"]);
}

#[test]
fn a_ringing_call_shows_the_whole_card() {
    let html = samples::live().ringing[0].to_string();
    assert_eq!(texts(&html, "h3"), ["Dana Whitfield"]);
    assert_eq!(texts(&html, ".recent li").len(), 5);
    assert_eq!(texts(&html, ".card .sum"), ["$514.80"]);
    assert_eq!(texts(&html, ".hours b"), ["2.5 hours left"]);
    assert_eq!(
        texts(&html, ".notes p"),
        ["Prefers to be called back after 4 pm. Runs the new router since Monday."]
    );
    assert_eq!(
        texts(&html, ".card > footer > a"),
        ["Open customer", "Open call"]
    );
    assert_eq!(attributes(&html, ".copy", "data-copy"), ["+12125550100"]);
}

#[test]
fn an_announcement_is_one_short_sentence() {
    let announced = |call: &RingingCall| call.announcement();
    assert_eq!(
        announced(&samples::live().ringing[0]),
        "Dana Whitfield, Northwind Dental. Subscriber calling - 2.5 hours remaining"
    );
    assert_eq!(
        announced(&samples::unknown_caller()),
        "(646) 555-0177. Non-subscriber calling - will be billed"
    );
    assert_eq!(
        announced(&samples::candidates()),
        "(347) 555-0109. 2 customers have this number"
    );
}

#[test]
fn several_customers_are_picked_in_one_step() {
    let html = samples::candidates().to_string();
    assert_eq!(attributes(&html, ".pick", "action"), ["/calls/r3/customer"]);
    assert_eq!(attributes(&html, ".pick button", "value"), ["c1", "c2"]);
}

#[test]
fn an_unknown_caller_is_named_or_linked_in_one_step() {
    let html = samples::unknown_caller().to_string();
    assert_eq!(attributes(&html, "form", "action"), ["/calls/r2/customer"]);
    assert_eq!(
        attributes(&html, "form a", "href"),
        ["/customers?link=%2B16465550177&call=r2"]
    );
}

#[test]
fn a_withheld_number_is_said_to_be_withheld() {
    let mut call = ringing(RingingCaller::Withheld {
        notice: Notice::PayPerCall { rate: None },
    });
    call.from = party("", "", "");
    let html = call.to_string();
    assert_eq!(texts(&html, "h3"), ["Anonymous caller"]);
    assert_eq!(texts(&html, ".who p"), ["Number withheld"]);
}

#[test]
fn an_update_is_the_same_element_as_on_the_page() {
    let live = samples::live();
    let page = live.render().unwrap();
    assert!(page.contains(&live.ringing[0].to_string()));
    assert!(page.contains(&live.talking[1].to_string()));
    assert!(page.contains(&live.ended[0].to_string()));
    assert!(page.contains(&live.agents[0].to_string()));
    assert!(page.contains(&live.tiles.to_string()));
}

#[test]
fn a_conversation_counts_up_and_its_hours_count_down() {
    let call = samples::talking(
        "t",
        party("Mateo Alvarez", "", "+12125550119"),
        "Priya Nair",
        754,
        Some(34_920),
        Price::Included,
    );
    let html = call.to_string();
    let since = (samples::ago(754)).as_millisecond().to_string();
    assert_eq!(
        attributes(&html, ".tick", "data-since"),
        [since.clone(), since]
    );
    assert_eq!(attributes(&html, ".tick.left", "data-seconds"), ["34920"]);
    // 34,920 seconds were left at the answer, 754 seconds ago.
    assert_eq!(
        texts(&html, ".figures dd"),
        ["12:34", "9:29:26", "Included"]
    );
}

#[test]
fn a_pending_price_is_not_shown_as_zero() {
    let call = samples::talking(
        "t",
        party("", "", ""),
        "Priya Nair",
        60,
        None,
        Price::Pending,
    );
    assert_eq!(
        texts(&call.to_string(), ".figures dd"),
        ["1:00", "–", "Pending"]
    );
}

#[test]
fn empty_lists_say_what_appears_there() {
    let mut live = samples::live();
    live.ringing.clear();
    live.has_numbers = false;
    let html = live.render().unwrap();
    assert!(
        texts(&html, ".empty")
            .iter()
            .any(|it| it.starts_with("No phone is ringing."))
    );
    assert_eq!(texts(&html, ".first h2"), ["Connect your first number"]);
    assert!(attributes(&html, "#ringing > *", "id").is_empty());
}

#[test]
fn an_empty_list_tells_a_filter_from_a_lack_of_data() {
    let mut page = samples::communications();
    page.rows.clear();
    assert_eq!(
        texts(&page.render().unwrap(), ".empty p")[0],
        "No calls, messages or voicemails yet."
    );
    page.filter.q = "dana".into();
    let html = page.render().unwrap();
    assert_eq!(
        texts(&html, ".empty p")[0],
        "No communication matches this filter."
    );
    assert_eq!(attributes(&html, ".empty a", "href"), ["/communications"]);
}

#[test]
fn a_fragment_is_a_part_of_its_page() {
    let page = samples::communications();
    let list = page.fragment("list").unwrap().unwrap();
    assert!(page.render().unwrap().contains(list.trim()) && list.contains("id=\"list\""));
    assert!(page.fragment("nothing").is_none());
}

#[test]
fn a_charge_is_explained_step_by_step() {
    let html = samples::call().render().unwrap();
    let steps = texts(&html, ".trace li");
    assert_eq!(steps.len(), 6);
    assert_eq!(
        steps[1],
        "Rounded up in steps of 60 s 1,300 s → 1,320 s 22 min"
    );
    assert_eq!(steps[5], "Charged $2.40");
    assert_eq!(attributes(&html, ".charge a", "href"), ["/invoices/2"]);
}

#[test]
fn raw_webhooks_and_margin_are_only_for_those_who_get_them() {
    let mut page = samples::call();
    assert_eq!(texts(&page.render().unwrap(), ".raw").len(), 3);
    page.webhooks = None;
    page.margin.clear();
    let html = page.render().unwrap();
    assert!(texts(&html, ".raw, .margin, #webhooks-title").is_empty());
}

#[test]
fn a_missing_transcript_says_why() {
    let mut page = samples::call();
    page.transcript = Transcript::Processing;
    assert!(
        page.render()
            .unwrap()
            .contains("The transcript is being written.")
    );
    page.transcript = Transcript::Absent;
    page.recordings.clear();
    let html = page.render().unwrap();
    assert!(
        html.contains("There is no transcript of this call.")
            && html.contains("This call was not recorded.")
    );
}

#[test]
fn every_outcome_has_its_own_word() {
    use Outcome::{
        Completed, Delivered, Failed, InProgress, Missed, Received, Ringing, Sent, Unanswered,
        Voicemail,
    };
    let all = [
        Ringing, InProgress, Completed, Missed, Unanswered, Voicemail, Failed, Delivered, Received,
        Sent,
    ];
    let words: std::collections::BTreeSet<_> = all.map(|it| it.label(samples::text())).into();
    assert_eq!(words.len(), all.len());
    assert_ne!(
        Direction::Inbound.label(samples::text()),
        Direction::Outbound.label(samples::text())
    );
}
