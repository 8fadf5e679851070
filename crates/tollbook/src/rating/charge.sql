-- Charges of a batch. Fractions come as text, so that no digit is lost on the way.
insert into charges (organization_id, id, payer, customer_id, account_id, usage_event_id, period_id, revision, part, kind, subscription_id,
    seller_id, plan_version_id, price_key, band, grant_id, meter, call_id, quantity, unit_price, divisor, amount_numerator,
    amount_denominator, amount, currency, invoice_id, line_group, description, occurred_at, trace_version, trace, provider_price_id)
select organization_id, id, payer, customer_id, account_id, usage_event_id, period_id, revision, part, kind, subscription_id,
    seller_id, plan_version_id, price_key, band, grant_id, meter, call_id, quantity, unit_price, divisor, amount_numerator::numeric,
    amount_denominator::numeric, round(amount_numerator::numeric(60, 20) / amount_denominator::numeric, 12), currency, invoice_id,
    line_group, description, occurred_at, $30::smallint, trace, provider_price_id
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::integer[], $9::integer[], $10::text[],
    $11::uuid[], $12::uuid[], $13::uuid[], $14::text[], $15::text[], $16::uuid[], $17::text[], $18::uuid[], $19::numeric[],
    $20::numeric[], $21::numeric[], $22::text[], $23::text[], $24::text[], $25::uuid[], $26::text[], $27::text[],
    $28::timestamptz[], $29::jsonb[], $31::uuid[])
    as r (organization_id, id, payer, customer_id, account_id, usage_event_id, period_id, revision, part, kind, subscription_id,
    seller_id, plan_version_id, price_key, band, grant_id, meter, call_id, quantity, unit_price, divisor, amount_numerator,
    amount_denominator, currency, invoice_id, line_group, description, occurred_at, trace, provider_price_id)
order by organization_id, usage_event_id, period_id, payer, part
