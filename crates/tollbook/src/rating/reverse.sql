-- Undoes charges exactly: the same charge with the opposite quantity and amount.
insert into charges (organization_id, id, payer, customer_id, account_id, usage_event_id, period_id, revision, part, reverses_id,
    kind, subscription_id, seller_id, plan_version_id, price_key, band, grant_id, meter, call_id, quantity, unit_price, divisor,
    amount_numerator, amount_denominator, amount, currency, invoice_id, line_group, description, occurred_at, trace_version, trace, provider_price_id)
select c.organization_id, k.id, c.payer, c.customer_id, c.account_id, c.usage_event_id, c.period_id, c.revision, c.part, c.id,
    c.kind, c.subscription_id, c.seller_id, c.plan_version_id, c.price_key, c.band, c.grant_id, c.meter, c.call_id, -c.quantity,
    c.unit_price, c.divisor, -c.amount_numerator, c.amount_denominator, -c.amount, c.currency, k.invoice_id, k.line_group,
    c.description, c.occurred_at, c.trace_version, c.trace, c.provider_price_id
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[]) as k (organization_id, id, charge_id, invoice_id, line_group)
join charges c on c.organization_id = k.organization_id and c.id = k.charge_id
order by c.organization_id, c.id
returning organization_id, account_id, customer_id, currency, amount_numerator, amount_denominator, occurred_at
