//! Every route, with what it asks of its caller. There is no other place where a path is served.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{self, MethodRouter};

use super::assets;
use super::caller::Access::{
    self, Dialer, OrgAdmin, OrgMember, OrgUser, Platform, Public, Seller, Service, SignedIn,
    TenantAdmin, TenantUsage, Webhook,
};
use super::health;
use crate::app::App;
use crate::identity;
use crate::{inbox, integrations, search};

/// Where a book is brought in.
pub(super) const BOOK: &str = "/api/admin/imports/book";
/// Where a price deck is imported.
pub(super) const DECK_IMPORT: &str = "/api/admin/price-decks/{key}/import";

/// One operation of the interface.
#[derive(Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with its variable parts in braces.
    pub path: &'static str,
    /// What it asks of its caller.
    pub access: Access,
    pub(super) handler: MethodRouter<App>,
}

/// All operations, pages and streams included.
pub fn routes() -> Vec<Route> {
    [
        health_routes(),
        identity_routes(),
        integration_routes(),
        organization_routes(),
        search_routes(),
        live_routes(),
        invoice_routes(),
        selling_routes(),
        deck_routes(),
        subscription_routes(),
        report_routes(),
        correction_routes(),
        payment_routes(),
        wallet_routes(),
        moving_routes(),
        authorization_routes(),
        limit_routes(),
        alert_routes(),
        metering_routes(),
        webhook_routes(),
        number_routes(),
        customer_routes(),
        supabase_routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn health_routes() -> Vec<Route> {
    vec![
        get("/healthz", Public, health::healthz),
        get("/readyz", Public, health::readyz),
        get("/metrics", Public, health::metrics),
        get(assets::ROUTE, Public, assets::serve),
    ]
}

fn identity_routes() -> Vec<Route> {
    use identity::{api, web};
    vec![
        get("/login", Public, web::login_page),
        post("/login", Public, web::log_in),
        post("/logout", SignedIn, web::log_out),
        post("/organization", SignedIn, web::switch_organization),
        post("/appearance", SignedIn, web::choose_appearance),
        post("/api/auth/token", Public, api::token),
        post("/api/auth/refresh", Public, api::refresh),
        post("/api/auth/logout", Public, api::logout),
        get("/api/me", SignedIn, api::me),
        get("/api/api-keys", OrgAdmin, api::list_keys),
        post("/api/api-keys", OrgAdmin, api::create_key),
        delete("/api/api-keys/{id}", OrgAdmin, api::revoke_key),
    ]
}

fn integration_routes() -> Vec<Route> {
    use integrations::api;
    vec![
        get("/api/integrations", OrgAdmin, api::list),
        post("/api/integrations", OrgAdmin, api::create),
        patch("/api/integrations/{id}", OrgAdmin, api::change),
        delete("/api/integrations/{id}", OrgAdmin, api::remove),
        get("/api/integrations/{id}/inbox", OrgAdmin, inbox::list::list),
        post(
            "/api/integrations/{id}/inbox/{inboxId}/replay",
            OrgAdmin,
            inbox::list::replay,
        ),
    ]
}

fn organization_routes() -> Vec<Route> {
    use crate::organizations::api;
    vec![
        get("/api/orgs", SignedIn, api::list),
        post("/api/orgs", Platform, api::create),
        put(
            "/api/orgs/{orgId}/billing-mode",
            OrgAdmin,
            api::set_billing_mode,
        ),
        get("/api/orgs/{orgId}/users", OrgAdmin, api::list_members),
        post("/api/orgs/{orgId}/users", OrgAdmin, api::add_member),
        patch(
            "/api/orgs/{orgId}/users/{userId}",
            OrgAdmin,
            api::change_member,
        ),
    ]
}

fn search_routes() -> Vec<Route> {
    vec![get("/search", OrgMember, search::web::search)]
}

fn live_routes() -> Vec<Route> {
    use crate::calls::{api as calls, web};
    use crate::communications;
    use crate::live::api;
    use crate::recordings;
    vec![
        get("/", OrgMember, web::live_page),
        get("/calls/{id}", OrgMember, web::call),
        post("/calls/{id}/customer", OrgMember, web::post_customer),
        get("/communications", OrgMember, communications::web::page),
        get("/communications.csv", OrgMember, communications::web::csv),
        get("/api/calls", OrgMember, communications::api::calls),
        get("/api/calls/{id}", OrgMember, calls::get_call),
        post("/api/calls/{id}/customer", OrgMember, calls::post_customer),
        get("/api/messages", OrgMember, communications::api::messages),
        get(
            "/api/messages/{id}",
            OrgMember,
            communications::api::message,
        ),
        get(
            "/api/voicemails",
            OrgMember,
            communications::api::voicemails,
        ),
        get(
            "/api/voicemails/{id}",
            OrgMember,
            communications::api::voicemail,
        ),
        get("/api/recordings", OrgMember, recordings::api::list),
        get(
            "/api/recordings/{id}/media",
            OrgMember,
            recordings::api::media,
        ),
        get("/api/events", OrgMember, api::events),
        get("/orgs/{orgId}/events", OrgMember, api::page_events),
    ]
}

fn invoice_routes() -> Vec<Route> {
    use crate::invoices::{act, web};
    vec![
        get("/invoices", OrgMember, web::list_page),
        get("/invoices/{id}", OrgAdmin, web::invoice_page),
        post("/invoices/{id}/finalize", OrgAdmin, web::finalize_now),
        get("/invoices/{id}/{act}", OrgAdmin, act::form),
        post("/invoices/{id}/{act}", OrgAdmin, act::post),
    ]
}

fn selling_routes() -> Vec<Route> {
    use crate::plans::version_api as plan_versions;
    use crate::{costs, invoices, plans, rating};
    let plan_path = "/api/admin/billing-plans";
    let versions = "/api/admin/billing-plans/{id}/versions";
    let version = "/api/admin/billing-plans/{id}/versions/{version}";
    vec![
        get(plan_path, Seller, plans::api::list),
        post(plan_path, Seller, plans::api::create),
        post(
            "/api/admin/billing-plans/what-if",
            Seller,
            plans::what_if_api::what_if,
        ),
        post(
            "/api/admin/billing-plans/{id}/archive",
            Seller,
            plan_versions::archive,
        ),
        get(versions, Seller, plan_versions::list),
        post(versions, Seller, plan_versions::draft),
        put(version, Seller, plan_versions::change),
        delete(version, Seller, plan_versions::drop_draft),
        post(
            "/api/admin/billing-plans/{id}/versions/{version}/publish",
            Seller,
            plan_versions::publish,
        ),
        get("/api/admin/usage-charges", Seller, rating::api::list),
        post("/api/admin/usage-charges", Seller, rating::api::create),
        get("/api/admin/invoices", Seller, invoices::api::list),
        post("/api/admin/invoices", Seller, invoices::api::create),
        get(
            "/api/admin/invoices/preview",
            Seller,
            invoices::api::preview,
        ),
        get("/api/admin/invoices/{id}", Seller, invoices::api::get),
        post("/api/admin/invoices/{id}/void", Seller, invoices::api::void),
        get("/api/admin/costs", Seller, costs::api::list),
        post("/api/admin/costs/{id}/price", Seller, costs::api::set_price),
    ]
}

fn deck_routes() -> Vec<Route> {
    use crate::decks::api;
    vec![
        get("/api/admin/price-decks", Seller, api::list),
        get(
            "/api/admin/price-decks/{key}/versions",
            Seller,
            api::versions,
        ),
        get("/api/admin/price-decks/{key}/export", Seller, api::export),
        post(DECK_IMPORT, Seller, api::post_import),
    ]
}

fn report_routes() -> Vec<Route> {
    use crate::reports::{analytics, bill, margin};
    vec![
        get("/api/admin/margin", Seller, margin::get),
        get("/api/users/{id}/bill", OrgMember, bill::get),
        get("/api/users/{id}/analytics", OrgMember, analytics::get),
    ]
}

fn subscription_routes() -> Vec<Route> {
    use crate::subscriptions::{act_api as acts, api};
    let all = "/api/admin/org-subscriptions";
    vec![
        get(all, Seller, api::list),
        post(all, Seller, api::create),
        get("/api/admin/org-subscriptions/{id}", Seller, acts::get),
        post(
            "/api/admin/org-subscriptions/{id}/cancel",
            Seller,
            acts::cancel,
        ),
        post(
            "/api/admin/org-subscriptions/{id}/pause",
            Seller,
            acts::pause,
        ),
        post(
            "/api/admin/org-subscriptions/{id}/resume",
            Seller,
            acts::resume,
        ),
        post(
            "/api/admin/org-subscriptions/{id}/renewal",
            Seller,
            acts::renewal,
        ),
        post(
            "/api/admin/org-subscriptions/{id}/change-plan",
            Seller,
            acts::change_plan,
        ),
    ]
}

fn correction_routes() -> Vec<Route> {
    use crate::corrections::{api, web};
    let (all, one) = ("/api/admin/corrections", "/api/admin/corrections/{id}");
    vec![
        get(all, OrgAdmin, api::list),
        post(all, OrgAdmin, api::create),
        get(one, OrgAdmin, api::get),
        post("/api/admin/corrections/{id}/undo", OrgAdmin, api::undo),
        get("/calls/{id}/{act}", OrgAdmin, web::form),
        post("/calls/{id}/{act}", OrgAdmin, web::post),
    ]
}

fn payment_routes() -> Vec<Route> {
    use crate::credit_notes::api as notes;
    use crate::ledger;
    use crate::payments::api;
    vec![
        get("/api/admin/statement", Seller, ledger::api::get),
        get("/api/admin/credit-notes", Seller, notes::list),
        get("/api/admin/credit-notes/{id}", Seller, notes::get),
        post(
            "/api/admin/invoices/{id}/credit-notes",
            Seller,
            notes::create,
        ),
        get("/api/admin/payments", Seller, api::list),
        post("/api/admin/payments", Seller, api::create),
        get("/api/admin/payments/{id}", Seller, api::get),
        post("/api/admin/payments/{id}/reverse", Seller, api::reverse),
        post(
            "/api/admin/payments/{id}/unallocate",
            Seller,
            api::unallocate,
        ),
        get("/api/billing/payments", OrgAdmin, api::own),
    ]
}

fn wallet_routes() -> Vec<Route> {
    use crate::wallets::api;
    let (all, one) = ("/api/admin/wallets", "/api/admin/wallets/{id}");
    let movements = "/api/admin/wallets/{id}/movements";
    vec![
        get(all, Seller, api::list),
        post(all, Seller, api::open),
        get(one, Seller, api::get),
        patch(one, Seller, api::change),
        get(movements, Seller, api::movements),
        post(movements, Seller, api::move_by_hand),
    ]
}

fn moving_routes() -> Vec<Route> {
    use crate::moving::api;
    vec![
        get("/api/admin/imports", OrgAdmin, api::list),
        post(BOOK, OrgAdmin, api::bring),
        post("/api/admin/imports/{id}/undo", OrgAdmin, api::undo),
    ]
}

fn authorization_routes() -> Vec<Route> {
    use crate::authorizations::api;
    vec![
        post("/api/calls/authorize", Dialer, api::authorize),
        get("/api/calls/authorizations/{id}", Dialer, api::get),
        post("/api/calls/authorizations/{id}/extend", Dialer, api::extend),
        post(
            "/api/calls/authorizations/{id}/release",
            Dialer,
            api::release,
        ),
    ]
}

fn limit_routes() -> Vec<Route> {
    use crate::fraud::api as fraud;
    use crate::limits::{self, api};
    let (caps, thresholds) = ("/api/admin/spend-caps", "/api/admin/usage-thresholds");
    vec![
        get(caps, Seller, api::list),
        put(caps, Seller, api::set),
        delete(caps, Seller, api::remove),
        get(thresholds, Seller, limits::list),
        post(thresholds, Seller, limits::create),
        delete("/api/admin/usage-thresholds/{id}", Seller, limits::remove),
        get("/api/admin/fraud-guard", OrgAdmin, fraud::guard),
        put("/api/admin/fraud-guard", OrgAdmin, fraud::set_guard),
        get("/api/admin/fraud-holds", OrgAdmin, fraud::list),
        post(
            "/api/admin/fraud-holds/{id}/release",
            OrgAdmin,
            fraud::post_release,
        ),
        post(
            "/api/admin/fraud-holds/{id}/block",
            OrgAdmin,
            fraud::post_block,
        ),
    ]
}

fn alert_routes() -> Vec<Route> {
    use crate::alerts::{api, web};
    vec![
        get("/api/admin/alerts", OrgAdmin, api::list),
        post(
            "/api/admin/alerts/{id}/acknowledge",
            OrgAdmin,
            api::acknowledge,
        ),
        get("/alerts", OrgAdmin, web::list_page),
        post("/alerts/{id}/acknowledge", OrgAdmin, web::acknowledge),
        post("/alerts/holds/{id}/release", OrgAdmin, web::release),
        post("/alerts/holds/{id}/block", OrgAdmin, web::block),
    ]
}

fn metering_routes() -> Vec<Route> {
    use crate::metering::{api, report};
    vec![
        get("/api/billing/usage", OrgAdmin, report::summary),
        get("/api/billing/usage/{usageType}", OrgAdmin, report::events),
        post("/api/billing/usage", Service, api::report),
        post("/api/billing/usage/batch", Service, api::report_batch),
    ]
}

fn webhook_routes() -> Vec<Route> {
    use crate::inbox::{api, twilio};
    vec![
        post("/webhooks/openphone", Webhook, api::openphone_platform),
        post(
            "/webhooks/openphone/{integrationId}",
            Webhook,
            api::openphone,
        ),
        post("/webhooks/twilio/voice", Webhook, twilio::voice),
        post("/webhooks/twilio/call-status", Webhook, twilio::status),
        post("/webhooks/twilio/recording-status", Webhook, twilio::status),
        post("/webhooks/twilio/sms", Webhook, twilio::sms),
        post("/webhooks/twilio/sms-status", Webhook, twilio::status),
        post(
            "/webhooks/twilio/{integrationId}/voice",
            Webhook,
            twilio::voice,
        ),
        post(
            "/webhooks/twilio/{integrationId}/call-status",
            Webhook,
            twilio::status,
        ),
        post(
            "/webhooks/twilio/{integrationId}/recording-status",
            Webhook,
            twilio::status,
        ),
        post("/webhooks/twilio/{integrationId}/sms", Webhook, twilio::sms),
        post(
            "/webhooks/twilio/{integrationId}/sms-status",
            Webhook,
            twilio::status,
        ),
    ]
}

fn number_routes() -> Vec<Route> {
    use crate::numbers::{api, web};
    let of_user = "/api/orgs/{orgId}/users/{userId}/phone-assignments";
    vec![
        get("/api/numbers", OrgMember, api::list_numbers),
        post("/api/numbers/{id}/mapping", OrgAdmin, api::post_mapping),
        post("/api/admin/numbers", Platform, api::post_number),
        get(of_user, OrgMember, api::get_assignments),
        post(of_user, OrgAdmin, api::post_assignments),
        get(
            "/api/user/phone-assignments",
            OrgUser,
            api::get_own_assignments,
        ),
        get("/ops/numbers/onboard", TenantAdmin, web::onboard_page),
        post("/ops/numbers/onboard", TenantAdmin, web::post_onboard),
    ]
}

fn supabase_routes() -> Vec<Route> {
    use crate::supabase::{functions, rpc};
    vec![
        post(
            "/functions/v1/ops-map-number-to-tenant",
            TenantAdmin,
            functions::map_number,
        ),
        post(
            "/rest/v1/rpc/log_voice_usage",
            TenantUsage,
            rpc::log_voice_usage,
        ),
        post(
            "/rest/v1/rpc/log_sms_usage",
            TenantUsage,
            rpc::log_sms_usage,
        ),
        post(
            "/rest/v1/rpc/get_or_create_usage_counter",
            TenantUsage,
            rpc::get_or_create_usage_counter,
        ),
    ]
}

fn customer_routes() -> Vec<Route> {
    use crate::customers::{api, web};
    let numbers = "/api/customers/{id}/numbers";
    let notes = "/api/customers/{id}/notes";
    vec![
        get("/customers", OrgMember, web::list_page),
        get("/customers/{id}", OrgMember, web::customer_page),
        post("/customers/{id}/notes", OrgMember, web::post_note),
        get("/api/customers", OrgMember, api::list_customers),
        post("/api/customers", OrgAdmin, api::post_customer),
        get("/api/customers/{id}", OrgMember, api::get_customer),
        patch("/api/customers/{id}", OrgAdmin, api::patch_customer),
        get(numbers, OrgMember, api::list_numbers),
        post(numbers, OrgAdmin, api::post_number),
        delete(
            "/api/customers/{id}/numbers/{numberId}",
            OrgAdmin,
            api::delete_number,
        ),
        get(notes, OrgMember, api::list_notes),
        post(notes, OrgMember, api::post_note),
        post("/api/customers/{id}/contacts", OrgAdmin, api::post_contact),
        get("/api/contacts", OrgMember, api::list_contacts),
    ]
}

fn route<H, T>(method: Method, path: &'static str, access: Access, handler: H) -> Route
where
    H: Handler<T, App>,
    T: 'static,
{
    let serve = match method {
        Method::POST => routing::post,
        Method::PUT => routing::put,
        Method::PATCH => routing::patch,
        Method::DELETE => routing::delete,
        _ => routing::get,
    };
    Route {
        method,
        path,
        access,
        handler: serve(handler),
    }
}

fn get<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    route(Method::GET, path, access, handler)
}

fn post<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    route(Method::POST, path, access, handler)
}

fn put<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    route(Method::PUT, path, access, handler)
}

fn patch<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    route(Method::PATCH, path, access, handler)
}

fn delete<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    route(Method::DELETE, path, access, handler)
}
