-- Corrections, the latest first: one ($2), or all that concern a customer ($3), after a place ($4).
select c.id as "id!", c.kind as "kind!", c.customer_id, c.from_customer_id, c.call_id, c.message_id, c.usage_event_id, c.phone_number, c.since,
    c.amount_minor, c.currency, c.reason as "reason!", c.undoes_id, u.id as "undone_by_id?", c.created_by, c.created_at as "created_at!",
    (select count(*) from correction_items i where i.organization_id = $1 and i.correction_id = c.id and i.subject = 'call') as "calls!",
    (select count(*) from correction_items i where i.organization_id = $1 and i.correction_id = c.id and i.subject = 'message') as "messages!"
from corrections c
left join corrections u on u.organization_id = $1 and u.undoes_id = c.id
where c.organization_id = $1 and ($2::uuid is null or c.id = $2)
    and ($3::uuid is null or exists (select from correction_payers p
        where p.organization_id = $1 and p.customer_id = $3 and p.correction_id = c.id))
    and ($4::uuid is null or c.id < $4)
order by c.id desc limit $5
