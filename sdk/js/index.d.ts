// Types of revgrid. Fields have the names of the HTTP API. Amounts are JavaScript numbers: about
// 15 significant digits; see README.md.

/** A Date, or ISO 8601 text with Z or an offset. */
export type Time = Date | string;
/** A decimal of decimal.js, big.js, bignumber.js or the like; it is sent as a number with all its digits. */
export interface DecimalLike {
  toFixed(places?: number): string;
  toJSON(): string;
}
/** Cents: a number, or a decimal or decimal text for what a number cannot hold exactly. */
export type Cents = number | bigint | string | DecimalLike;
/** A number of units, with at most 6 decimals: more, such as 0.1 + 0.2 has, are refused. A decimal or decimal text for
 * what a number cannot hold exactly. */
export type Quantity = number | bigint | string | DecimalLike;
/** An object or a Map with text as keys. A bigint or a DecimalLike is sent as a number with all its digits; what JSON
 * cannot say (a Set, NaN, a function) is refused. */
export type Json = Record<string, unknown> | Map<string, unknown>;
/** What came back: parsed JSON, in which a number has about 15 digits. */
export type Parsed = Record<string, unknown>;
/** A whole number. */
export type Whole = number | bigint;

export interface RevOptions {
  /** Default: the environment's REVGRID_API_KEY. */
  apiKey?: string;
  /** Default: the environment's REV_URL, else http://127.0.0.1:8080. */
  baseUrl?: string;
  /** Of one try; 10,000. */
  timeoutMs?: number;
  /** After its begin a call may be tried again for so long; 30,000. 0: never. */
  retryForMs?: number;
  fetch?: typeof globalThis.fetch;
  /** For tests. */
  sleep?: (ms: number) => Promise<unknown>;
  now?: () => number;
  random?: () => number;
  newKey?: () => string;
}

export interface WriteOptions {
  /** Made when absent; the same over all tries. */
  idempotencyKey?: string;
  /** Do not wait for the decision. */
  respondAsync?: boolean;
}

export interface MeterEvent {
  agent_id: string;
  action: string;
  tokens?: Whole;
  tokens_input?: Whole;
  tokens_output?: Whole;
  tokens_in?: Whole;
  tokens_out?: Whole;
  /** Not within tokens_input. */
  tokens_cache_read?: Whole;
  tokens_cache_write?: Whole;
  /** Not within tokens_output. */
  tokens_reasoning?: Whole;
  /** Anything else that the action's price has a rate for, by name. */
  quantities?: Record<string, Quantity> | Map<string, Quantity>;
  /** The provider's own usage object: its tokens are charged by kind. Name the provider. */
  usage?: Json;
  outcome?: 'success' | 'failure' | 'pending';
  /** Of a pending event. */
  expires_at?: Time;
  on_expiry?: 'success' | 'failure';
  metadata?: Json;
  idempotency_key?: string;
  timestamp?: Time;
  task_id?: string;
  model?: string;
  provider?: string;
  trace_id?: string;
  customer_id?: string;
  /** The reservation that it settles; what that holds is released. */
  reservation_id?: string;
}

export interface Price {
  total_cents: number;
  breakdown: Breakdown;
  config: PriceConfig;
  /** What tokens and quantities cost, one by one; absent when only tokens at the token rate were charged. */
  lines?: PriceLine[];
}

export interface Breakdown {
  base_rate_cents: number;
  token_charge_cents: number;
  outcome_bonus_cents: number;
  /** For quantities that are not tokens; absent without lines. */
  quantity_charge_cents?: number;
}

/** `quantity` units at `rate_cents` for every `per` of them cost `cents`. */
export interface PriceLine {
  /** The name of the quantity, or 'tokens' for tokens at the token rate. */
  component: string;
  quantity: number;
  rate_cents: number;
  per: number;
  cents: number;
}

/** `rate` cents for every `per` units. */
export interface QuantityRate {
  rate: number;
  per: number;
}

export interface Rates {
  action_type: string;
  base_rate_cents: number;
  token_rate_cents: number;
  outcome_bonus_cents: number;
  /** Absent: any. */
  model?: string;
  provider?: string;
  /** By quantity; absent without any. */
  rates?: Record<string, QuantityRate>;
}

export interface PriceConfig extends Rates {
  is_default: boolean;
}

export interface EffectivePrice extends Rates {
  is_custom: boolean;
  /** A quantity without a rate costs nothing, and is not refused. */
  ignore_unknown?: boolean;
  /** Steps of the month by quantity; absent without any. */
  tiers?: Record<string, PriceStep[]>;
  /** Absent for graduated steps. */
  tier_mode?: 'volume';
  /** Of a customer's calendar month, as cap_cents. */
  minimum_cents?: number;
  cap_cents?: number;
  /** When a scheduled price comes into force. */
  effective_at?: string;
}

/** `rate` cents for every `per` units until the month's count is `up_to`; null is without end. */
export interface PriceStep {
  up_to: number | null;
  rate: number;
  per: number;
}

export interface DollarBreakdown {
  base: number;
  tokens: number;
  outcome: number;
  quantities?: number;
}

export interface EventSubject {
  customer_id: string;
  agent_id: string;
  action: string;
  tokens: number;
  tokens_input: number | null;
  tokens_output: number | null;
  outcome: string | null;
  /** All of them by name, input and output too; absent if the event gave no other ones than those. */
  quantities?: Record<string, number>;
}

export interface MeterResponse {
  event_id: number;
  /** 'accepted': durable, not priced yet; price and what follows from it are null. 'voided': the key's event was
   * taken back since. */
  status: 'priced' | 'accepted' | 'voided';
  price: Price | null;
  /** Dollars. */
  price_charged: number | null;
  price_breakdown: DollarBreakdown | null;
  currency: string;
  /** Of a pending event. */
  outcome_id: string | null;
  event: EventSubject;
  created_at: string;
  /** In test mode. */
  test: boolean;
  /** What looks wrong, such as a new customer whose id is much like another's. */
  warnings?: string[];
  /** The answer to an earlier request with the same key. */
  replayed: boolean;
  /** Ids of the budgets whose limit the event exceeded. */
  budgets_exceeded?: number[];
  /** What prepaid credit paid; absent for a customer without any grant until then, as due_cents. */
  credit_cents?: number;
  due_cents?: number;
}

export interface BatchResult {
  event_id: number;
  total_cents: number | null;
  status?: 'accepted' | 'voided';
  outcome_id?: string;
  replayed?: boolean;
  budgets_exceeded?: number[];
  credit_cents?: number;
  due_cents?: number;
}

export interface BatchResponse {
  status: 'priced' | 'accepted';
  results: BatchResult[];
  /** What this request charged; a replayed event adds nothing. */
  total_cents: number | null;
  currency: string;
  test: boolean;
  warnings?: string[];
}

export interface EventState extends Omit<MeterResponse, 'status' | 'event' | 'created_at' | 'warnings' | 'replayed'> {
  status: 'priced' | 'accepted' | 'rejected' | 'voided';
  event: EventSubject | null;
  created_at: string | null;
  error: string | null;
  timestamp: string | null;
  metadata: Parsed | null;
  expires_at: string | null;
  idempotency_key: string | null;
  task_id: string | null;
  model: string | null;
  provider: string | null;
  trace_id: string | null;
  import_id: string | null;
  budgets_exceeded?: number[];
  credit_cents?: number;
  due_cents?: number;
}

export interface NewOutcome {
  task_id: string;
  agent_id: string;
  expires_at: Time;
  success_criteria?: Json;
  price_on_success: Cents;
  price_on_failure?: Cents;
  /** Whose price an expiry charges; 'failure'. */
  on_expiry?: 'success' | 'failure';
  idempotency_key?: string;
  customer_id?: string;
}

export interface Verdict {
  success?: boolean;
  outcome?: 'success' | 'failure';
  evidence?: Json;
  metadata?: Json;
  idempotency_key?: string;
  customer_id?: string;
}

/** Of an 'accepted' one only some fields are there. */
export interface Outcome {
  status: 'pending' | 'succeeded' | 'failed' | 'expired' | 'accepted';
  task_id: string | null;
  outcome_id: string | null;
  success?: boolean | null;
  charge_cents?: number | null;
  evidence?: Parsed | null;
  resolved_at?: string | null;
  event_id?: number;
  customer_id?: string;
  agent_id?: string;
  action?: string;
  success_criteria?: Parsed | null;
  price_on_success_cents?: number;
  price_on_failure_cents?: number;
  on_expiry?: 'success' | 'failure';
  expires_at?: string;
  created_at?: string;
  voided?: boolean;
  test?: boolean;
  warnings?: string[];
  replayed?: boolean;
  credit_cents?: number;
  due_cents?: number;
}

export interface OfCustomer {
  /** With a platform key. */
  customer_id?: string;
}

export interface UsageQuery extends OfCustomer {
  period?: '24h' | '7d' | '30d' | '90d';
  from?: Time;
  to?: Time;
  agent_id?: string;
  action?: string;
  model?: string;
  group_by?: 'day' | 'hour' | 'agent' | 'action' | 'model' | 'component' | 'component_model';
}

export interface UsageRow {
  event_count: number;
  total_cents: number;
  total_dollars: number;
  total_tokens: number;
  charge_count: number;
  action?: string;
  agent_id?: string;
  model?: string;
  day?: string;
  hour?: string;
  /** How many actions, agents or models this last row is of, which have no row of their own. */
  others?: number;
}

export interface UsageSummary {
  total_events: number;
  total_cents: number;
  total_dollars: number;
  total_tokens: number;
  unique_agents: number;
  charge_count: number;
  charge_cents: number;
  pending_cents: number;
  currency: string;
}

/** What one component of prices cost; its model only by component_model. */
export interface UsageComponent {
  /** event, tokens, a quantity, success, outcome, cap or minimum. */
  component: string;
  model?: string;
  quantity: number;
  total_cents: number;
  total_dollars: number;
  entries: number;
}

export interface Usage {
  customer_id: string;
  period: string;
  from: string;
  to: string;
  summary: UsageSummary;
  by_action: UsageRow[];
  by_agent: UsageRow[];
  group_by: string | null;
  groups: UsageRow[];
  /** Grouped by component or component_model. */
  components?: UsageComponent[];
  test: boolean;
}

/** Prepaid credit; grants are drawn by expires_at (null: never, last), then priority, then id. */
export interface Grant {
  id: number;
  customer_id: string;
  amount_cents: number;
  left_cents: number;
  expires_at: string | null;
  priority: number;
  reason: string;
  created_at: string;
  test: boolean;
  /** Of a new grant: the percentage of the balance of which a webhook tells. */
  low_percent?: number;
  /** Whether the customer paid for it; absent: no. */
  category?: "paid";
}

export interface Balance {
  customer_id: string;
  balance_cents: number;
  grants: Grant[];
  test: boolean;
  /** Of the balance, what open reservations hold. */
  held_cents?: number;
}

/** Money that is held until an event settles it, it is released or it expires. */
export interface Reservation {
  reservation_id: string;
  customer_id: string;
  status: 'open' | 'settled' | 'released' | 'expired';
  amount_cents: number;
  /** What prepaid credit holds of it. */
  credit_cents: number;
  agent_id: string | null;
  action: string | null;
  model: string | null;
  /** The event that settled it. */
  event_id: number | null;
  charged_cents: number | null;
  expires_at: string;
  created_at: string;
  closed_at: string | null;
  test: boolean;
  warnings?: string[];
}

export interface ReservationList {
  customer_id: string;
  reservations: Reservation[];
}

export interface ReservationRequest {
  amount_cents?: Cents;
  /** An event that would cost what is to be held. */
  estimate?: Partial<MeterEvent>;
  ttl_seconds?: number;
  agent_id?: string;
  action?: string;
  model?: string;
  customer_id?: string;
  idempotency_key?: string;
}

/** A limit to what is charged, and what is spent of it. */
export interface Budget {
  id: number;
  customer_id: string;
  scope: 'agent' | 'action' | 'model' | 'key' | 'all';
  /** The agent, action, model or id of the key; empty for `all`. */
  value: string;
  period: 'day' | 'month' | 'total';
  limit_cents: number;
  /** It refuses what would exceed it. */
  hard: boolean;
  spent_cents: number;
  left_cents: number;
  period_start: string | null;
  period_end: string | null;
  created_at: string;
  test: boolean;
  /** The amount that was asked about would stay within the limit. */
  fits?: boolean;
  /** What open reservations hold. */
  held_cents?: number;
}

export interface BudgetList {
  customer_id: string;
  budgets: Budget[];
  /** Every hard one would let the amount pass that was asked about. */
  fits?: boolean;
}

/** A line of a statement or an invoice: usage and outcomes are `quantity` units at `rate_cents` for every `per`. */
export interface StatementLine {
  kind: 'usage' | 'outcome' | 'adjustment' | 'void';
  action: string;
  /** How many entries of the ledger it is of. */
  entries: number;
  amount_cents: number;
  /** They are from before the invoice. */
  late?: boolean;
  model?: string;
  provider?: string;
  component?: string;
  quantity?: number;
  rate_cents?: number;
  per?: number;
  price_id?: number;
  event_id?: number;
  voided_event_id?: number;
  import_id?: string;
  reason?: string;
  recorded_at?: string;
}

/** What is owed for a month, from what was accepted until `as_of`. */
export interface Statement {
  customer_id: string;
  month: string;
  from: string;
  to: string;
  as_of: string;
  currency: string;
  test: boolean;
  lines: StatementLine[];
  subtotal_cents: number;
  /** At most 0. */
  voided_cents: number;
  /** What prepaid credit paid. */
  credits_cents?: number;
  due_cents: number;
}

/** Whom an invoice is for; absent: not known. */
export interface BillTo {
  name?: string;
  email?: string;
  line1?: string;
  line2?: string;
  postal_code?: string;
  city?: string;
  state?: string;
  country?: string;
  tax_id?: string;
}

export interface Payment {
  reference: string;
  amount_cents: number;
  recorded_at: string;
}

/** An invoice; cents are the minor unit of its currency. `balance_cents`: what is left to pay. */
export interface Invoice {
  /** null in a draft. */
  number: string | null;
  customer_id: string;
  month: string;
  state: 'draft' | 'final' | 'paid' | 'void' | 'uncollectible';
  from: string;
  to: string;
  as_of: string;
  late_after: string;
  invoicing_since: string;
  currency: string;
  entries: number;
  lines_cents: number;
  credits_cents: number;
  carried_in_cents: number;
  total_cents: number;
  /** The next invoice's carried_in_cents. */
  carried_out_cents: number;
  tax_cents: number;
  tax_percent: number;
  tax_reason: string;
  amount_due_cents: number;
  credited_cents: number;
  paid_cents: number;
  balance_cents: number;
  payments: Payment[];
  created_at: string;
  finalized_at: string | null;
  due_at: string | null;
  voided_at: string | null;
  given_up_at: string | null;
  bill_to: BillTo;
  /** Of a period of the customer's own; absent for a calendar month, UTC. */
  time_zone?: string;
}

export interface InvoiceList {
  invoices: Invoice[];
  next_cursor: string | null;
}

export interface InvoiceQuery extends OfCustomer {
  month?: string;
  state?: Invoice['state'];
  limit?: number;
  cursor?: string;
}

/** What was voided of an invoice after it was final. */
export interface CreditNote {
  number: string;
  invoice: string;
  customer_id: string;
  month: string;
  as_of: string;
  currency: string;
  entries: number;
  voided_cents: number;
  total_cents: number;
  created_at: string;
  tax_cents: number;
}

export interface InvoiceWithLines {
  invoice: Invoice;
  credit_notes: CreditNote[];
  lines: StatementLine[];
}

export interface Webhook {
  id: number;
  customer_id: string;
  url: string;
  events: string[];
  active: boolean;
  disabled: string | null;
  created_at: string;
  rotated_at: string | null;
  /** It is told of test events only, else of live ones only. */
  test: boolean;
}

export interface Pricing {
  customer_id: string;
  configs: EffectivePrice[];
  /** Prices that will apply later. */
  scheduled?: EffectivePrice[];
}

export class Rev {
  constructor(options?: RevOptions);
  readonly baseUrl: string;
  meter(event: MeterEvent, options?: WriteOptions): Promise<MeterResponse>;
  meterBatch(events: MeterEvent[], options?: WriteOptions & { customerId?: string }): Promise<BatchResponse>;
  registerOutcome(outcome: NewOutcome, options?: WriteOptions): Promise<Outcome>;
  resolveOutcome(id: string, verdict: Verdict, options?: WriteOptions): Promise<Outcome>;
  outcome(id: string, query?: OfCustomer): Promise<Outcome>;
  event(id: number, query?: OfCustomer): Promise<EventState>;
  usage(query?: UsageQuery): Promise<Usage>;
  pricing(query?: OfCustomer): Promise<Pricing>;
  balance(query?: OfCustomer): Promise<Balance>;
  statement(query?: OfCustomer & { month?: string; as_of?: Time }): Promise<Statement>;
  invoices(query?: InvoiceQuery): Promise<InvoiceList>;
  invoice(number: string, query?: OfCustomer): Promise<InvoiceWithLines>;
  reserve(reservation: ReservationRequest, options?: WriteOptions): Promise<Reservation>;
  release(reservationId: string, query?: OfCustomer): Promise<Reservation>;
  reservation(reservationId: string, query?: OfCustomer): Promise<Reservation>;
  reservations(query?: OfCustomer): Promise<ReservationList>;
  budgets(
    query?: OfCustomer & { amount_cents?: Cents; agent_id?: string; action?: string; model?: string },
  ): Promise<BudgetList>;
  createWebhook(webhook: { url: string; events: string[]; customer_id?: string }): Promise<Webhook & { secret: string }>;
  webhooks(query?: OfCustomer): Promise<{ webhooks: Webhook[]; next_cursor: string | null }>;
  deleteWebhook(id: number, query?: OfCustomer): Promise<{ success: boolean; deleted_id: number }>;
  verifyWebhook(rawBody: string | Uint8Array, signature: string | null | undefined, secret: string): void;
}

export function verifyWebhook(rawBody: string | Uint8Array, signature: string | null | undefined, secret: string): void;

export class RevError extends Error {
  /** What the request carried, given or made; repeat with it after an error that leaves things open. */
  readonly idempotencyKey: string | null;
}
export class NoAnswerError extends RevError {}
export class SignatureError extends RevError {}
export class RefusedError extends RevError {
  readonly status: number;
  readonly code: string | null;
  readonly requestId: string | null;
  readonly errors: Array<{ index: number; error: string }>;
  readonly outcome: Outcome | null;
  readonly budget: Budget | null;
  readonly balanceCents: number | null;
}

export const VERSION: string;
