//! Every page, filled: nothing unescaped, structure sound, and a way to look at them.

use std::collections::BTreeSet;

use askama::Template;
use scraper::{ElementRef, Html, Selector};

use super::{Role, Scheme, Section, role, samples};
use crate::calls::view::call::Transcript;
use crate::calls::view::live::RingingCaller;
use crate::customers::view::Linking;
use crate::identity::view::{LoginPage, SignInProblem};

fn all() -> Vec<(&'static str, String)> {
    let mut draft = samples::invoice();
    draft.number = None;
    draft.state = crate::invoices::view::InvoiceState::Draft;
    draft.issued_on = None;
    draft.due_on = None;
    draft.may_finalize = true;
    draft.finalizes_at = Some(samples::stamp(-86_400));
    let mut picking = samples::live();
    picking.ringing = vec![samples::candidates(), samples::unknown_caller()];
    let mut quiet = samples::live();
    quiet.ringing.clear();
    quiet.talking.clear();
    quiet.ended.clear();
    quiet.agents.clear();
    quiet.has_numbers = false;
    let mut refused = samples::onboard();
    refused.page.toast = None;
    refused.evidence = None;
    refused.problem = Some("tenant `other` is not yours".into());
    for field in [
        &mut refused.tenant_id,
        &mut refused.twilio_number_sid,
        &mut refused.phone_number,
    ] {
        field.problem = Some("is required".into());
    }
    refused.number_type_problem = Some("must be voice, sms or both".into());
    vec![
        ("onboard", samples::onboard().render().unwrap()),
        ("onboard-refused", refused.render().unwrap()),
        ("live", samples::live().render().unwrap()),
        ("live-picking", picking.render().unwrap()),
        ("live-quiet", quiet.render().unwrap()),
        (
            "communications",
            samples::communications().render().unwrap(),
        ),
        ("call", samples::call().render().unwrap()),
        ("customers", samples::customers().render().unwrap()),
        ("customer", samples::customer().render().unwrap()),
        ("invoices", samples::invoices().render().unwrap()),
        ("invoice", samples::invoice().render().unwrap()),
        ("draft", draft.render().unwrap()),
        ("alerts", samples::alerts().render().unwrap()),
        ("login", samples::login().render().unwrap()),
        ("correct", samples::correct().render().unwrap()),
        (
            "error",
            samples::error(404, "no such call").render().unwrap(),
        ),
        ("search", samples::search().render().unwrap()),
    ]
}

/// `TOLLBOOK_PAGES_TO=folder cargo test -p tollbook look_at_pages` writes the pages there, to be opened in a browser.
#[test]
fn look_at_pages() {
    for (name, html) in all() {
        if let Some(folder) = std::env::var_os("TOLLBOOK_PAGES_TO") {
            std::fs::write(
                std::path::Path::new(&folder).join(format!("{name}.html")),
                &html,
            )
            .unwrap();
        }
        assert!(html.starts_with("<!doctype html>"), "{name}");
    }
}

fn document(html: &str) -> Html {
    Html::parse_document(html)
}

fn select<'a>(document: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    document
        .select(&Selector::parse(selector).unwrap())
        .collect()
}

/// Each page, with a function over its document.
fn each(check: impl Fn(&str, &Html)) {
    for (name, html) in all() {
        check(name, &document(&html));
    }
}

#[test]
fn a_page_has_one_title_one_main_part_and_a_language() {
    each(|name, page| {
        for selector in ["h1", "main", "head > title", "html[lang=en]"] {
            assert_eq!(select(page, selector).len(), 1, "{name}: {selector}");
        }
    });
}

#[test]
fn ids_are_unique_and_references_resolve() {
    each(|name, page| {
        let ids: Vec<_> = select(page, "[id]")
            .iter()
            .filter_map(|it| it.attr("id"))
            .collect();
        let unique: BTreeSet<_> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{name}: {ids:?}");
        for attribute in ["aria-labelledby", "aria-describedby", "data-swap"] {
            for it in select(page, &format!("[{attribute}]:not([data-into])")) {
                for id in it.attr(attribute).unwrap().split_whitespace() {
                    assert!(unique.contains(id), "{name}: {attribute}={id}");
                }
            }
        }
    });
}

/// The content security policy allows neither, so they would silently not work.
#[test]
fn nothing_is_inline() {
    each(|name, page| {
        assert!(select(page, "style, [style]").is_empty(), "{name}");
        assert!(select(page, "script:not([src])").is_empty(), "{name}");
        for it in select(page, "*") {
            assert!(
                it.value()
                    .attrs()
                    .all(|(attribute, _)| !attribute.starts_with("on")),
                "{name}"
            );
        }
    });
}

#[test]
fn every_form_that_changes_something_carries_the_token() {
    each(|name, page| {
        for form in select(page, "form[method=post]") {
            let token = form
                .select(&Selector::parse("input[name=csrf]").unwrap())
                .next();
            assert_eq!(
                token.and_then(|it| it.attr("value")),
                Some("token"),
                "{name}: {:?}",
                form.attr("action")
            );
        }
    });
}

#[test]
fn every_field_and_picture_has_a_name() {
    each(|name, page| {
        for field in select(page, "input:not([type=hidden]), select, textarea") {
            let is_labelled = field.ancestors().any(|it| {
                it.value()
                    .as_element()
                    .is_some_and(|it| it.name() == "label")
            });
            assert!(
                is_labelled || field.attr("aria-label").is_some(),
                "{name}: {}",
                field.html()
            );
        }
        assert!(select(page, "img:not([alt])").is_empty(), "{name}");
        assert!(
            select(page, "svg:not([aria-hidden]):not([aria-label])").is_empty(),
            "{name}"
        );
    });
}

#[test]
fn assets_have_addresses_that_may_be_kept_for_ever() {
    each(|name, page| {
        for it in select(page, "script[src], link[rel=stylesheet]") {
            let address = it.attr("src").or(it.attr("href")).unwrap();
            assert!(address.starts_with("/assets/"), "{name}: {address}");
        }
        for it in select(page, "use") {
            let icon = it
                .attr("href")
                .unwrap()
                .rsplit_once('#')
                .unwrap()
                .1
                .to_owned();
            let icons = include_str!("../../assets/icons.svg");
            assert!(
                icons.contains(&format!("id=\"{icon}\"")),
                "{name}: no icon {icon}"
            );
        }
    });
}

const EVIL: &str = "\"><script>alert('x')</script>&lt;";

fn evil() -> String {
    EVIL.to_owned()
}

#[test]
fn what_people_write_is_text_and_never_markup() {
    let mut live = samples::live();
    live.page.account.as_mut().unwrap().name = evil();
    live.page.account.as_mut().unwrap().organization = evil();
    live.page.toast = Some(evil());
    live.page.address = evil();
    live.agents[0].name = evil();
    live.ringing[0].from.name = Some(evil());
    live.ringing[0].from.company = Some(evil());
    live.ringing[0].line_label = Some(evil());
    live.talking[0].agent = Some(evil());
    live.ended[0].with.name = Some(evil());
    if let RingingCaller::Known { card, .. } = &mut live.ringing[0].caller {
        card.plan = Some(evil());
        card.notes[0].text = evil();
        card.notes[0].author = evil();
    }
    let mut communications = samples::communications();
    communications.filter.q = evil();
    communications.rows[0].excerpt = Some(evil());
    communications.rows[0].line = evil();
    let mut call = samples::call();
    call.with.name = Some(evil());
    call.timeline[0].label = evil();
    call.charges[0].payer = evil();
    call.webhooks.as_mut().unwrap()[0].body = evil();
    call.transcript = Transcript::Ready {
        summary: Some(evil()),
        lines: vec![],
    };
    let mut customer = samples::customer();
    customer.name = evil();
    customer.contacts[0].email = Some(evil());
    customer.refused_note = Some((evil(), evil()));
    let mut invoice = samples::invoice();
    invoice.buyer.name = evil();
    invoice.lines[1].description = evil();
    invoice.lines[1].calls[0].with = evil();
    invoice.footer = Some(evil());
    let mut alerts = samples::alerts();
    alerts.rows[0].title = evil();
    alerts.rows[1].customer = Some((evil(), "/customers/0197".into()));
    alerts.rows[2].detail = Some(evil());
    let mut login = samples::login();
    login.email = evil();
    login.next = evil();
    let mut search = samples::search();
    search.q = evil();
    search.groups.clear();
    let pages = [
        live.render().unwrap(),
        communications.render().unwrap(),
        call.render().unwrap(),
        customer.render().unwrap(),
        invoice.render().unwrap(),
        alerts.render().unwrap(),
        login.render().unwrap(),
        samples::error(422, EVIL).render().unwrap(),
        search.render().unwrap(),
    ];
    for html in pages {
        assert_eq!(
            select(&document(&html), "script").len(),
            1,
            "only the page's own script"
        );
        assert!(!html.contains("<script>"));
        assert!(html.contains("&#60;script&#62;"));
    }
}

#[test]
fn an_invoice_shows_its_parts_and_the_calls_behind_each_line() {
    let html = samples::invoice().render().unwrap();
    let page = document(&html);
    assert_eq!(select(&page, ".invoice-lines tbody tr").len(), 4);
    assert_eq!(select(&page, ".annex").len(), 2);
    for link in select(&page, ".invoice-lines a") {
        let id = link.attr("href").unwrap();
        assert_eq!(select(&page, id).len(), 1, "{id}");
    }
    let totals: Vec<String> = select(&page, ".totals dd")
        .iter()
        .map(|it| it.text().collect())
        .collect();
    assert_eq!(
        totals,
        ["$514.80", "$45.69", "$560.49", "$100.00", "$460.49"]
    );
}

#[test]
fn only_a_draft_can_be_finalized_and_only_by_those_who_may() {
    let finalize = "form[action='/invoices/0197/finalize']";
    assert!(select(&document(&samples::invoice().render().unwrap()), finalize).is_empty());
    let draft = all().into_iter().find(|it| it.0 == "draft").unwrap().1;
    assert_eq!(select(&document(&draft), finalize).len(), 1);
    assert!(draft.contains("This draft has no number yet"));
}

#[test]
fn empty_lists_say_what_to_do_next() {
    let mut customers = samples::customers();
    customers.rows.clear();
    assert!(
        customers
            .render()
            .unwrap()
            .contains("Everybody who calls becomes one by themselves.")
    );
    customers.q = "zzz".into();
    assert!(
        customers
            .render()
            .unwrap()
            .contains("No customer matches this search.")
    );
    let mut invoices = samples::invoices();
    invoices.rows.clear();
    assert!(
        invoices
            .render()
            .unwrap()
            .contains("They are made by themselves")
    );
    invoices.tab = "paid".into();
    assert!(
        invoices
            .render()
            .unwrap()
            .contains("No invoice matches this search.")
    );
}

#[test]
fn held_calls_are_released_and_blocked_again_with_one_click() {
    let html = samples::alerts().render().unwrap();
    let page = document(&html);
    for (act, label) in [("release", "Release"), ("block", "Block again")] {
        let form = format!("form[method=post][action='/alerts/holds/77/{act}']");
        let forms = select(&page, &form);
        assert_eq!(forms.len(), 1, "{act}");
        let words: String = forms[0].text().collect();
        assert!(words.contains(label), "{words}");
    }
    // What was seen to is not to be seen to again.
    assert_eq!(select(&page, "form[action$='/acknowledge']").len(), 3);
    let link: String = select(&page, "nav a[href='/alerts']")[0].text().collect();
    assert!(link.contains('3'), "{link}");
    let mut quiet = samples::alerts();
    quiet.rows.clear();
    quiet.page.alerts = 0;
    let html = quiet.render().unwrap();
    assert!(html.contains("Nothing to look at."));
    let page = document(&html);
    let link: String = select(&page, "nav a[href='/alerts']")[0].text().collect();
    assert_eq!(link.trim(), "Alerts");
}

#[test]
fn the_live_page_shows_open_alerts_to_those_who_may_see_them() {
    let mut live = samples::live();
    let html = live.render().unwrap();
    assert!(html.contains("2 alerts are open"));
    assert!(select(&document(&html), "#open-alerts[hidden]").is_empty());
    live.alerts.as_mut().unwrap().count = 0;
    let html = live.render().unwrap();
    assert_eq!(select(&document(&html), "#open-alerts[hidden]").len(), 1);
    live.alerts = None;
    let html = live.render().unwrap();
    assert!(select(&document(&html), "#open-alerts").is_empty());
}

#[test]
fn a_caller_is_linked_to_a_customer_of_the_list() {
    let mut page = samples::customers();
    page.linking = Some(Linking {
        call_id: "77".into(),
        phone: samples::phone("+16465550177"),
    });
    let html = page.render().unwrap();
    let document = document(&html);
    assert_eq!(
        select(&document, "form[action='/calls/77/customer']").len(),
        page.rows.len()
    );
    assert_eq!(
        select(&document, "form input[name=call][value='77']").len(),
        1
    );
}

#[test]
fn a_refused_note_is_not_lost() {
    let mut page = samples::customer();
    page.refused_note = Some(("half a novel".into(), "at most 4,000 characters".into()));
    let html = page.render().unwrap();
    let document = document(&html);
    let field = select(&document, "#notes textarea")[0];
    assert_eq!(field.text().collect::<String>(), "half a novel");
    assert_eq!(field.attr("aria-describedby"), Some("note-problem"));
}

#[test]
fn a_refused_sign_in_keeps_the_address_and_says_why() {
    let mut page = samples::login();
    page.email = "maya@brightline.example".into();
    page.problem = Some(SignInProblem::WrongCredentials);
    let html = page.render().unwrap();
    let document = document(&html);
    assert_eq!(
        select(&document, "[name=email]")[0].attr("value"),
        Some("maya@brightline.example")
    );
    assert_eq!(select(&document, "[name=password][autofocus]").len(), 1);
    assert_eq!(select(&document, "[role=alert]").len(), 1);
}

#[test]
fn every_refusal_of_a_sign_in_has_its_reason() {
    use SignInProblem::{FormExpired, SessionEnded, TooManyAttempts, WrongCredentials};
    let reasons = [WrongCredentials, TooManyAttempts, SessionEnded, FormExpired].map(|problem| {
        let page = LoginPage {
            problem: Some(problem),
            ..samples::login()
        };
        let html = page.render().unwrap();
        select(&document(&html), "#problem")[0]
            .text()
            .collect::<String>()
    });
    assert_eq!(BTreeSet::from(reasons).len(), 4);
}

#[test]
fn roles_have_names() {
    let names = [
        Role::PlatformAdmin,
        Role::OrganizationAdmin,
        Role::OrganizationMember,
    ]
    .map(|it| role(samples::text(), it));
    assert_eq!(names, ["Platform administrator", "Administrator", "Member"]);
}

#[test]
fn errors_name_the_way_on() {
    for (status, words) in [
        (401, "Sign in"),
        (404, "Not found"),
        (429, "Wait a moment"),
        (503, "Not available"),
        (500, "Something broke"),
    ] {
        let html = samples::error(status, "the reason").render().unwrap();
        assert!(
            html.contains(words) && html.contains("the reason") && html.contains("01a2b3c4"),
            "{status}"
        );
    }
}

#[test]
fn a_chosen_scheme_is_on_the_page() {
    let mut page = samples::live();
    page.page.scheme = Scheme::parse("dark");
    assert_eq!(
        select(&document(&page.render().unwrap()), "html[data-scheme=dark]").len(),
        1
    );
    assert_eq!(Scheme::parse("pink"), Scheme::System);
}

#[test]
fn the_palette_finds_pages_by_name() {
    let page = samples::page(Section::None);
    let found: Vec<_> = page
        .navigation_matching(" INV")
        .into_iter()
        .map(|it| it.href)
        .collect();
    assert_eq!(found, ["/invoices"]);
    assert_eq!(page.navigation_matching("").len(), 6);
}
