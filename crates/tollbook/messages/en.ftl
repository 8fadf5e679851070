# Every word of the pages, in English.
# A value such as { $count } chooses the plural; amounts, times and names come finished.

## Said to callers
voice-take-message = Nobody can take your call right now. Please leave a message after the tone.

## Numbers and times
number-decimal-mark = .
number-group-mark = ,
time-month = { $month ->
    [1] Jan
    [2] Feb
    [3] Mar
    [4] Apr
    [5] May
    [6] Jun
    [7] Jul
    [8] Aug
    [9] Sep
    [10] Oct
    [11] Nov
   *[12] Dec
}
time-weekday = { $day ->
    [1] Monday
    [2] Tuesday
    [3] Wednesday
    [4] Thursday
    [5] Friday
    [6] Saturday
   *[7] Sunday
}
time-date = { $month } { $day }
time-date-with-year = { $month } { $day }, { $year }
time-stamp = { $date }, { $time }
time-full = { $weekday }, { $date }, { $time } { $abbreviation } ({ $zone })
times-in = Times in { $zone }
never = never

## Frame
skip = Skip to content
nav-label = Main
nav-live = Live
nav-communications = Communications
nav-customers = Customers
nav-invoices = Invoices
nav-alerts = Alerts
nav-search = Search
crumbs = Where you are
close = Close
print = Print
csv = CSV
copied = { $number } copied
copy-number = Copy number
toast-offline = No connection. You see what was known last.
toast-refused = That did not work. Please try again.
role-platform-admin = Platform administrator
role-organization-admin = Administrator
role-organization-member = Member
account-menu = Account
account-organization = Organization
account-switch = Switch
account-appearance = Appearance
account-sign-out = Sign out
scheme-system = System
scheme-light = Light
scheme-dark = Dark
chart-as-table = Show as table
pager-label = Pages
pager-first = Newest
pager-next = Older

## Search and keys
palette-label = Search customers, numbers, invoices, calls
palette-placeholder = Name, number, invoice…
search-title = Search
search-button = Search
search-nothing = Nothing found for “{ $query }”.
search-pages = Pages
help-title = Keys
help-palette = Search everything
help-search = Search this page
help-rows = Next and previous row
help-open = Open the row
help-go = Go to { $page }
help-help = This list

## Sign-in
login-title = Sign in
login-email = Email
login-password = Password
login-button = Sign in
login-help = No account, or the password is lost? Ask an administrator of your organization.
login-wrong = Email or password is wrong.
login-too-many = Too many attempts. Wait a minute, then try again.
login-session-ended = Your session has ended. Sign in to go on.
login-form-expired = This form was open too long. Please try again.

## Errors
error-title-unauthorized = Please sign in
error-title-forbidden = Not allowed
error-title-not-found = Not found
error-title-conflict = Somebody was faster
error-title-too-many = Too many requests
error-title-invalid = That cannot be done
error-title-unavailable = Not available right now
error-title-server = Something broke
error-advice-unauthorized = The page is there, but only for people who are signed in.
error-advice-not-found = It may have been removed, or belong to an organization that you do not work in.
error-advice-wait = Wait a moment, then load the page again.
error-advice-invalid = Go back, check what you entered, and try again.
error-advice-server = It has been logged. If it happens again, tell an administrator the request number below.
error-back = Back to the live page
error-sign-in = Sign in
error-request = Request

## People and prices
party-anonymous = Anonymous caller
party-unknown = Not known yet
party-withheld = Number withheld
price-included = Included
price-pending = Pending
price-no-customer = No customer
price-free = Costs nothing
direction-inbound = Incoming
direction-outbound = Outgoing
kind-call = Call
kind-message = Message
kind-voicemail = Voicemail
outcome-ringing = Ringing
outcome-in-progress = In progress
outcome-completed = Completed
outcome-missed = Missed
outcome-unanswered = No answer
outcome-voicemail = Voicemail
outcome-failed = Failed
outcome-delivered = Delivered
outcome-received = Received
outcome-sent = Sent
standing-subscriber = Subscriber
standing-expired = Expired
standing-pay-per-call = Pay per call
standing-prospect = Prospect
has-recording = Recorded

## Live
live-title = Live
live-refresh = Refresh
live-ringing = Ringing
live-ringing-empty = No phone is ringing. A caller’s card appears here the moment one does.
live-talking = In progress
live-talking-empty = Nobody is talking right now.
live-ended = Just ended
live-ended-all = All communications
live-ended-empty = No calls yet today.
live-agents = Team
live-agents-empty = Nobody has an assigned number yet.
live-setup-title = Connect your first number
live-setup-text = Calls appear here as soon as a phone number belongs to this organization. Your administrator does it with one command:
live-announcement = { $who }. { $notice }
live-announcement-several = { $who }. { $count ->
    [one] One customer has this number
   *[other] { $count } customers have this number
}
link-connecting = Connecting
link-live = Live
link-reconnecting = Reconnecting
link-offline = Offline
alerts-on = Alerts on
alerts-off = Alerts off
alerts-hint = Sound and notification when a phone rings
tile-waiting = Ringing
tile-talking = Talking
tile-agents = Team available
tile-agents-busy = { $count } busy
tile-answered = Answered today
tile-missed = Missed today
tile-wait = Average wait
tile-handling = Average call
tile-service = Within { $seconds } s
tile-none = –
agent-free = Available
agent-busy = { $with }
talk-time = Time
talk-left = Left
talk-cost = Cost so far
talk-open = Open
talk-card = Caller card

## Notices (word for word)
notice-subscriber = Subscriber calling - { $hours } hours remaining
notice-overage = Subscriber calling - hours used up, billed as overage
notice-pay-per-call = Non-subscriber calling - will be billed
notice-expired = Subscription expired - switching to per-call
notice-rate = { $rate } per minute

## Caller card
card-subscription = Subscription
card-no-subscription = No subscription
card-invoices = { $count ->
    [0] Invoices
    [one] One open invoice
   *[other] { $count } open invoices
}
card-invoices-none = Nothing is open.
card-recent = Last calls
card-recent-none = First call from this customer.
card-notes = Notes
card-notes-none = No notes.
card-open-customer = Open customer
card-open-call = Open call
card-add-note = Add note
card-note = Note
card-note-save = Save note
card-note-saved = Note saved
card-several = { $count } customers have this number. Who is calling?
card-unknown = Nobody with this number is known yet.
card-withheld = The caller hides their number, so no customer can be found.
card-new-name = New customer’s name
card-new-button = Create customer
card-link = Find customer

## Hours
hours-left = { $hours } hours left
hours-of = of { $hours }
hours-left-of = { $left } of { $included } left
hours-renew = New hours on { $day }

## Lists
filter-any = Any
tab-all = All
tab-calls = Calls
tab-messages = Messages
tab-voicemails = Voicemails
filter-search = Search
filter-search-hint = Name, number, words said
filter-direction = Direction
filter-outcome = Outcome
filter-number = Number
filter-from = From
filter-to = To
filter-apply = Apply
filter-clear = Clear filters
column-time = Time
column-utc = Time (UTC)
column-seconds = Seconds
column-text = Text
column-kind = Kind
column-with = With
column-line = Line
column-outcome = Outcome
column-length = Length
column-cost = Cost
column-invoice = Invoice
column-customer = Customer
column-state = State
column-period = Period
column-issued = Issued
column-due = Due
column-open = Open
column-total = Total
column-standing = Standing
column-numbers = Numbers
column-hours = Hours
column-last-call = Last call
column-description = Description
column-quantity = Quantity
column-price = Price
column-amount = Amount
column-billed = Billed
column-included = Included
column-rate = Rate
communications-title = Communications
communications-tabs = Kinds of communication
communications-none-match = No communication matches this filter.
communications-none = No calls, messages or voicemails yet.
communications-none-hint = They appear here when one of your numbers is used. You see numbers that are assigned to you.

## Call
call-started = Started
call-direction = Direction
call-agent = Answered by
call-nobody = Nobody
charge-title = Charge
charge-pending = Being rated. The charge appears in a moment.
charge-none = Nothing is charged for this call.
charge-at-end = Charged when the call is over.
charge-no-customer = Nobody is charged: it is not known which customer this is.
charge-hidden = Only administrators see charges.
charge-terms = { $plan }, version { $version }
margin-cost = Provider cost
margin-revenue = Revenue
margin-left = Margin
charge-amount = Charged
charge-on-invoice = On invoice
charge-unbilled = Not invoiced yet
trace-used = Answered time
trace-free = Free at the start
trace-rounded = Rounded up in steps of { $step } s
trace-rounded-after = At least { $initial } s, then rounded up in steps of { $step } s
trace-allowance = Covered by the included time
trace-usage = Price
trace-overage = Past the included time
trace-connection = Connection fee
trace-minimum = Up to the minimum charge
trace-maximum = Down to the maximum charge
trace-fee = Fee
trace-within-free = Ended within the free seconds
trace-no-price = The plan has no price for it
trace-waived = Not billed
trace-nothing-used = Not answered, so nothing is charged
trace-left-before = { $left } were left
trace-band = { $band } from { $time } ({ $zone })
trace-destination = destination +{ $prefix }
trace-tier = the period’s total goes from { $before } to { $after }
trace-cost = the provider’s price plus { $percent } %
trace-charged-before = less { $amount } charged already
fee-connection = connection
fee-usage = per use
fee-mark-up = mark-up
fee-tier = tier
fee-minimum = minimum
fee-maximum = maximum
rate-per-second = { $price } per second
rate-per-minute = { $price } per minute
rate-per-hour = { $price } per hour
rate-per-seconds = { $price } per { $per } s
rate-per-units = { $price } for { $per }
rate-each = { $price } each
unit-seconds = { $count } s
unit-minutes = { $count } min
recording-label = Recording, { $length }
recording-speed = Speed
recording-download = Download
recording-none = This call was not recorded.
transcript-title = Recording and transcript
transcript-seek = Play from
transcript-processing = The transcript is being written. It appears here when the provider has finished.
transcript-absent = There is no transcript of this call.
timeline-title = What happened
timeline-queued = Waiting to be put through
timeline-ringing = Ringing
timeline-answered = Answered
timeline-answered-by = Answered by { $who }
timeline-ended = Ended
timeline-voicemail = Voicemail left
timeline-recording = Recording ready
timeline-transcript = Transcript ready
timeline-summary = Summary ready
timeline-other = News from the provider
timeline-after = After { $length }
timeline-none = No events have arrived yet.
legs-title = Legs
webhooks-title = Raw webhooks
webhooks-none = None were received for this call.

## Customers
customers-title = Customers
customers-tabs = Kinds of customer
customers-tab-all = All
customers-tab-subscribers = Subscribers
customers-tab-prospects = Prospects
customers-search-hint = Name or number
customers-none = No customers yet.
customers-none-hint = Everybody who calls becomes one by themselves. You only give them a name.
customers-none-match = No customer matches this search.
link-whose = Whose number is { $number }?
link-button = It is theirs
customer-since = Customer since { $day }
customer-balance = Balance due
customer-unbilled = Not invoiced yet
customer-usage = Time per day in this period
customer-history = History
customer-history-all = All of it
customer-history-none = No calls or messages yet.
customer-invoices-none = No invoices yet. The first is made when the period ends.
customer-no-subscription = None. Calls are billed one by one.
customer-contacts = Contacts
customer-contacts-none = No contacts yet.
subscription-trial = On trial
subscription-active = Active
subscription-paused = Paused
subscription-ended = Ended
subscription-ended-on = Ended { $day }
subscription-ends-on = Ends { $day }
price-a-month = { $price } a month
price-a-year = { $price } a year
price-for-months = { $price } for { $count ->
    [one] one month
   *[other] { $count } months
}
period-span = { $from } to { $to }
chart-day = Day
chart-time = Time
chart-hours = { $hours } h
subscription-price = Price
subscription-renews = Renews
subscription-overage = Past the hours

## Alerts
alerts-tabs = State of alerts
alerts-tab-open = Open
alerts-tab-acknowledged = Seen to
alerts-tab-all = All
alerts-none = Nothing to look at.
alerts-none-hint = Limits that are reached, usage that fails and calls that are held show here.
alerts-open = { $count ->
    [one] One alert is open
   *[other] { $count } alerts are open
}
column-alert = Alert
column-severity = Severity
column-times = Times
column-last-seen = Last seen
column-action = Action
severity-info = Info
severity-warning = Warning
severity-critical = Critical
alert-acknowledge = Seen to
alert-release = Release
alert-block = Block again
alert-allowance = { $percent } % of the allowance “{ $allowance }” is used
alert-cap = { $percent } % of the cap on spending is reached
alert-wallet = A wallet has { $left } { $currency } left
alert-meter = { $meter } has counted { $used } this month
alert-cap-refused = Calls were refused because of a cap on spending
alert-usage-refused = Usage was refused: { $reason }
alert-usage-parked = Usage waits that cannot be charged
alert-webhook-parked = Webhooks wait that cannot be read
alert-fraud = Calls to { $destination } are held
alert-fraud-all = All calls out are held
alert-used-of = { $used } of { $limit }
fraud-unusual-destination = Nobody has called there lately
fraud-calls-per-minute = Too many calls within a minute
fraud-calls-per-hour = Too many calls within an hour
fraud-concurrent-calls = Too many calls at the same time
fraud-hourly-spend = Calls there cost too much within an hour

## Invoices
invoices-title = Invoices
invoices-tabs = State of invoices
invoices-tab-all = All
invoices-search-hint = Number or customer
invoices-none = No invoices yet.
invoices-none-hint = They are made by themselves when a customer’s period ends.
invoices-none-match = No invoice matches this search.
invoice-draft = Draft
invoice-look = Preview
invoice-open = Open
invoice-overdue = Overdue
invoice-paid = Paid
invoice-void = Void
invoice-uncollectible = Uncollectible
invoice-due-on = due { $day }
invoice-heading = Invoice { $number }
invoice-heading-draft = Draft for { $customer }
invoice-preview = Preview. This draft has no number yet and can still change.
invoice-finalizes = Finalized by itself after
invoice-closing-complete = { $usages ->
    [0] Nothing was used in the period.
    [one] The one usage of the period was rated when it was closed.
   *[other] All { $usages } usages of the period were rated when it was closed.
}
invoice-closing-gap = { $rated } of { $usages } usages of the period were rated when it was closed; the rest goes on the next invoice.
invoice-closing-parked = { $count ->
    [one] One webhook of the period was not understood.
   *[other] { $count } webhooks of the period were not understood.
}
invoice-finalize = Finalize
invoice-finalize-confirm = Finalize this invoice? It gets its number and cannot be changed any more.
invoice-word = Invoice
invoice-to = Billed to
invoice-currency = Currency
invoice-lines = Lines of the invoice
invoice-no-lines = This draft has no lines yet.
invoice-subtotal = Subtotal
invoice-tax = Tax { $percent } %
invoice-payments = Paid
price-per-minute = { $price }/min
price-per-hour = { $price }/h
price-per-second = { $price }/s
price-per-many = { $price } per { $count }
invoice-amount-open = Amount due
invoice-credited = Credited
invoice-pay = Record payment
invoice-give-credit = Credit
invoice-withdraw = Void
invoice-withdrawn = Withdrawn:
act-payment-title = Payment of { $number }
act-payment-lede = What is more than this invoice leaves open becomes the customer’s credit.
act-payment-confirm = Record this payment
act-credit-title = Credit note over { $number }
act-credit-lede = What is still open falls first; what is beyond that becomes the customer’s credit. A credit note cannot be changed any more.
act-credit-confirm = Issue this credit note
act-void-title = Void { $number }
act-void-lede = The invoice keeps its number and owes nothing any more. This cannot be taken back.
act-void-confirm = Void this invoice
act-void-note = Calls, other usage and fees on it are gathered again by the customer’s next invoice. Items written by hand are withdrawn.
act-channel = Paid by
channel-check = Check
channel-transfer = Transfer
channel-cash = Cash
channel-other = Something else
channel-credit = The customer’s credit
act-amount = Amount in { $currency }
act-reference = Reference
act-received = Received on
act-reason = Reason
act-look = See what changes
act-effect = What changes
act-effect-none = Fill in the form to see it in money. Nothing is done before you confirm.
act-what = Of
act-before = Before
act-after = After
act-credit = Credit of { $customer }
act-changed = Something has changed meanwhile. Please look again.
act-back = Back to the invoice
correct-move-title = Move to another customer
correct-move-lede = The call goes with everything used by it. A charge that was invoiced already is given back by a credit note, and charged on the other customer’s next invoice.
correct-waive-title = Do not bill
correct-waive-lede = The call stays in the records and in all counts. A charge that was invoiced already is given back by a credit note.
correct-bill-title = Bill it again
correct-bill-lede = The call is charged again: on the draft of its time, or on the next invoice.
correct-find = Find the customer
correct-find-label = Name, mail address or number
correct-find-button = Find
correct-find-none = Nobody is found by that.
correct-customer = Customer
correct-nobody = Choose a customer.
correct-nameless = Unknown caller
correct-no-money = No amount changes.
correct-drafts = Next invoices of { $customer }
correct-owed = Owed by { $customer }
correct-note = Credit note of { $amount } over { $number }
correct-back = Back to the call
correct-waived = Not billed:
invoice-calls-behind = { $count ->
    [one] 1 call
   *[other] { $count } calls
}
invoice-calls-all = All { $count } calls

## Map a number
nav-onboard = Map a number
onboard-title = Map a number
onboard-lede = Link a phone number to the tenant who is billed for it. Its calls and messages are counted from then on.
onboard-section = Map Number for Billing
onboard-button = Map Number for Billing
onboard-tenant = Tenant ID
onboard-tenant-new = A tenant that is not known yet is made.
onboard-tenant-own = Your organization's own, or its id.
onboard-sid = Twilio Number SID
onboard-sid-help = PN and 32 letters or digits, as Twilio's console shows it.
onboard-number = Phone Number (E.164)
onboard-type = Number Type
onboard-type-voice = Voice
onboard-type-sms = SMS
onboard-type-both = Both
onboard-evidence = Evidence
onboard-evidence-none = Nothing was mapped yet. What was done is shown here.
onboard-toast = Number mapped successfully
onboard-since = Mapped
onboard-mapping = Mapping
onboard-minutes = Minutes this month
onboard-calls = Calls this month
onboard-sent = SMS sent this month
onboard-received = SMS received this month
