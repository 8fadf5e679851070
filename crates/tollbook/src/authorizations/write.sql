-- A call that is let through, or on for longer, with what each account holds for it; what the others hold then; and what
-- that makes of the wallets. Credit that is promised leaves no wallet overdrawn: the database refuses it. What is given back
-- may leave one as it was.
with asked as (
    insert into call_authorizations as c (organization_id, id, key, request_hash, phone_number_id, direction, external_e164, customer_id, seconds,
        started_at, expires_at, created_by)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    on conflict (organization_id, id) do update set seconds = greatest(c.seconds, excluded.seconds), expires_at = greatest(c.expires_at, excluded.expires_at)
),
own as (
    insert into call_reservations (organization_id, authorization_id, account_id, payer, wallet_id, seller_id, plan_version_id, zone, period_start,
        amount, cap_currency, expires_at)
    select $1, $2, k.account_id, k.payer, k.wallet_id, k.seller_id, k.plan_version_id, k.zone, k.period_start, k.amount, k.cap_currency, $11
    from unnest($13::uuid[], $14::text[], $15::uuid[], $16::uuid[], $17::uuid[], $18::text[], $19::timestamptz[], $20::numeric[], $28::text[])
        as k (account_id, payer, wallet_id, seller_id, plan_version_id, zone, period_start, amount, cap_currency)
    order by k.account_id
    on conflict (organization_id, authorization_id, account_id) do update
    set amount = excluded.amount, cap_currency = excluded.cap_currency, expires_at = excluded.expires_at
),
others as (
    update call_reservations r set amount = case when k.is_over then r.amount else k.amount end,
        state = case when k.is_over then 'expired' else r.state end, closed_at = case when k.is_over then $25::timestamptz end
    from unnest($21::uuid[], $22::uuid[], $23::numeric[], $24::boolean[]) as k (authorization_id, account_id, amount, is_over)
    where r.organization_id = $1 and r.authorization_id = k.authorization_id and r.account_id = k.account_id and r.state = 'open'
)
update wallets w set reserved = w.reserved + k.change,
    is_overdrawn = k.change <= 0 and (w.balance + w.credit_limit - w.reserved - k.change) * w.undrawn_denominator < w.undrawn_numerator
from unnest($26::uuid[], $27::numeric[]) as k (id, change)
where w.organization_id = $1 and w.id = k.id
