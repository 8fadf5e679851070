-- Charges of a batch. Numbers come as text, so that no digit is lost on the way.
insert into charges (organization_id, id, payer, customer_id, account_id, usage_event_id, period_id, revision, part, kind, subscription_id,
    seller_id, plan_version_id, price_key, band, grant_id, meter, call_id, quantity, unit_price, divisor, amount_numerator,
    amount_denominator, amount, currency, invoice_id, line_group, description, occurred_at, trace_version, trace)
select organization_id, id, payer, customer_id, account_id, usage_event_id, period_id, revision, part, kind, subscription_id,
    seller_id, plan_version_id, price_key, band, grant_id, meter, call_id, quantity::numeric, unit_price::numeric, divisor::numeric,
    amount_numerator::numeric, amount_denominator::numeric,
    round(amount_numerator::numeric(60, 20) / amount_denominator::numeric, 12), currency, invoice_id, line_group, description, occurred_at,
    trace_version, trace
from jsonb_to_recordset($1) as r (organization_id uuid, id uuid, payer text, customer_id uuid, account_id uuid, usage_event_id uuid,
    period_id uuid, revision integer, part integer, kind text, subscription_id uuid, seller_id uuid, plan_version_id uuid, price_key text, band text,
    grant_id uuid, meter text, call_id uuid, quantity text, unit_price text, divisor text, amount_numerator text,
    amount_denominator text, currency text, invoice_id uuid, line_group text, description text, occurred_at timestamptz, trace_version smallint,
    trace jsonb)
order by organization_id, usage_event_id, period_id, payer, part
