-- What is held for these calls is not held any more, and the wallets, which are locked, have it back.
with closed as (
    update call_reservations r set state = $4, closed_at = $5
    from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as k (organization_id, authorization_id, account_id)
    where r.organization_id = k.organization_id and r.authorization_id = k.authorization_id and r.account_id = k.account_id
        and r.state = 'open'
    returning r.organization_id, r.wallet_id, r.amount
),
given as (
    select organization_id, wallet_id, sum(amount) as amount from closed where amount > 0 group by organization_id, wallet_id
)
update wallets w set reserved = w.reserved - g.amount,
    is_overdrawn = (w.balance + w.credit_limit - w.reserved + g.amount) * w.undrawn_denominator < w.undrawn_numerator
from given g
where w.organization_id = g.organization_id and w.id = g.wallet_id
