"""Every setting of FlexDash: its name, default, check and meaning, in one table.

Settings come from the environment only. `load_settings` reads all of them at start, and when some are wrong
it names every one of them at once, with what is wrong and how to mend it. The names are the fields of
`Settings` in capitals; README's configuration table is compared with `SETTINGS_TABLE` by a test.
"""

import base64
import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import config_parsers as parse

PROJECT_DIR = Path(__file__).resolve().parent

DEVELOPMENT_SECRET_KEY = "development-only-secret-key"  # noqa: S105 - public on purpose, refused in production
DEVELOPMENT_ENCRYPTION_KEY = base64.urlsafe_b64encode(b"flexdash development only key 32").decode()
SANDBOX_APPLICATION_ID = "amzn1.sellerapps.app.flexdash-sandbox"
SANDBOX_CLIENT_ID = "amzn1.application-oa2-client.flexdash-sandbox"
SANDBOX_CLIENT_SECRET = "flexdash-sandbox-secret"  # noqa: S105 - the sandbox's, refused in production
MIN_SECRET_LENGTH = 32
_HOW_TO_MAKE_ONE = 'python3 -c "import secrets; print(secrets.token_urlsafe(48))"'


@dataclass(frozen=True)
class Setting:
    """One row of the table: the variable's name, its default as text, its meaning, and how its text is read.

    A default may hold `<DATA_DIR>` or `<PORT>`, which stand for those settings' values.
    """

    name: str
    default: str
    doc: str
    parse: Callable[[str], Any]
    is_secret: bool = False

    @property
    def field(self) -> str:
        """The attribute of `Settings` that holds the value."""
        return self.name.lower()


class SettingsError(Exception):
    """Some settings are missing or wrong. `problems` holds one clear sentence or two per fault."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        heading = "FlexDash cannot start: a setting needs mending."
        if len(problems) > 1:
            heading = f"FlexDash cannot start: {len(problems)} settings need mending."
        super().__init__("\n".join([heading, *(f"  - {problem}" for problem in problems)]))


def _setting(default: str, doc: str, parser: Callable[[str], Any] = parse.text, *, is_secret: bool = False) -> Any:
    metadata = {"default": default, "doc": doc, "parse": parser, "is_secret": is_secret}
    return dataclasses.field(metadata=metadata)


# RUF009 warns of a default shared by all instances; these are field descriptions, as dataclasses.field gives.
# ruff: noqa: RUF009
@dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """The checked settings. Made by `load_settings`; never changed afterwards. Its `repr` masks secrets."""

    flexdash_env: str = _setting(
        "development",
        "`development`, `production` or `testing`. Production refuses the public defaults.",
        parse.one_of("development", "production", "testing"),
    )
    data_dir: Path = _setting(
        "var",
        "Folder for everything kept on disk. A relative path starts at the project's folder.",
        parse.folder(PROJECT_DIR),
    )
    port: int = _setting("8000", "Port the web server listens on.", parse.whole(1, 65535))
    bind_address: str = _setting(
        "127.0.0.1",
        "Address the web server listens on. Other machines are let in only with a `SECRET_KEY` of your own.",
        parse.ip_address,
    )
    public_url: str = _setting(
        "http://127.0.0.1:<PORT>",
        "Address people open, without a path; Amazon returns below it. Production: https.",
        parse.origin,
    )
    trusted_proxies: int = _setting(
        "0",
        "How many reverse proxies stand in front and set the `X-Forwarded-*` headers.",
        parse.whole(0, 10),
    )
    secret_key: str = _setting(
        DEVELOPMENT_SECRET_KEY,
        "Signs sessions and forms. Production: at least 32 random characters.",
        is_secret=True,
    )
    encryption_keys: tuple[str, ...] = _setting(
        DEVELOPMENT_ENCRYPTION_KEY,
        "Fernet keys for tokens and buyer data, separated by commas. The first encrypts, all decrypt.",
        parse.fernet_keys,
        is_secret=True,
    )
    database_url: str = _setting(
        "sqlite:///<DATA_DIR>/flexdash.db",
        "Database: `sqlite:///path` or `postgresql://user:password@host/name`.",
        parse.database_url(PROJECT_DIR),
        is_secret=True,
    )
    redis_url: str = _setting(
        "redis://127.0.0.1:6379/0",
        "Redis for queues, schedule and Amazon's pace. `make run` starts its own unless this is set.",
        parse.redis_url,
        is_secret=True,
    )
    amazon_application_id: str = _setting(
        SANDBOX_APPLICATION_ID,
        "Id of your app in Amazon's Solution Provider Portal (`amzn1.sp.solution…`).",
        parse.token,
    )
    amazon_client_id: str = _setting(
        SANDBOX_CLIENT_ID,
        "Login with Amazon client id of the app (`amzn1.application-oa2-client…`).",
        parse.token,
    )
    amazon_client_secret: str = _setting(
        SANDBOX_CLIENT_SECRET,
        "Login with Amazon client secret of the app.",
        parse.token,
        is_secret=True,
    )
    amazon_app_is_draft: bool = _setting(
        "false",
        "`true` while Amazon lists the app as a draft; adds `version=beta` to the consent address.",
        parse.boolean,
    )
    amazon_lwa_url: str = _setting(
        "https://api.amazon.com/auth/o2/token",
        "Login with Amazon's token address. `make run` sets it to the sandbox's.",
        parse.url,
    )
    amazon_api_url: str = _setting(
        "",
        "Selling Partner API address for every region. Empty: the address of the store's region.",
        parse.optional(parse.origin),
    )
    amazon_seller_central_url: str = _setting(
        "",
        "Seller Central address for every country. Empty: the address of the store's country.",
        parse.optional(parse.origin),
    )
    amazon_ship_status_in: str = _setting(
        "query",
        "Where Amazon is told that a package was shipped: `query`, as it keeps for Seller Flex, or `body`.",
        parse.one_of("query", "body"),
    )
    amazon_timeout_seconds: float = _setting(
        "20",
        "How long one call to Amazon may take, in seconds.",
        parse.number(1, 300),
    )
    order_pull_interval_minutes: int = _setting(
        "30",
        "Minutes from one order pull of a store to the next.",
        parse.whole(1, 1440),
    )
    inventory_push_interval_minutes: int = _setting(
        "60",
        "Minutes from one inventory push of a store to the next.",
        parse.whole(1, 1440),
    )
    inventory_full_push_hours: int = _setting(
        "24",
        "Hours after which an inventory push sends every SKU again, not only the changed ones.",
        parse.whole(1, 168),
    )
    amazon_inventory_sequence: str = _setting(
        "epoch",
        "Sequence numbers sent with stock: `epoch` (the time, always growing), `echo` (the one Amazon last answered), "
        "`omit`.",
        parse.one_of("epoch", "echo", "omit"),
    )
    price_push_interval_minutes: int = _setting(
        "10",
        "Minutes from one price push of a store to the next, while prices are on their way to Amazon.",
        parse.whole(1, 1440),
    )
    max_upload_megabytes: int = _setting(
        "256",
        "How large an uploaded CSV file may be, in megabytes.",
        parse.whole(1, 2048),
    )
    order_pull_overlap_minutes: int = _setting(
        "15",
        "Minutes before the last pull's end that the next one asks for again.",
        parse.whole(0, 1440),
    )
    order_pull_first_lookback_days: int = _setting(
        "7",
        "How many days a store's first pull looks back for changed shipments.",
        parse.whole(1, 90),
    )
    return_pull_interval_minutes: int = _setting(
        "60",
        "Minutes from one pull of a store's returns to the next.",
        parse.whole(1, 1440),
    )
    reconcile_interval_hours: int = _setting(
        "24",
        "Hours from one comparison of a store with Amazon to the next.",
        parse.whole(1, 168),
    )
    api_log_days: int = _setting(
        "90",
        "How many days the API log keeps calls to Amazon, and runs what became of each of their items.",
        parse.whole(1, 3650),
    )
    shipments_requests_per_second: float = _setting(
        "1",
        "Pace of the shipment calls per store until Amazon names another, in requests per second.",
        parse.number(0.01, 1000),
    )
    session_lifetime_hours: int = _setting("12", "Hours until a sign-in ends by itself.", parse.whole(1, 720))
    sign_in_attempts: str = _setting(
        "5 per minute;30 per hour",
        "How often a sign-in may be tried, as limits separated by semicolons.",
        parse.rate_limits,
    )
    lookup_limit: str = _setting(
        "30 per minute",
        "How often one person may use Help, evidence packs and Verify now, as limits separated by semicolons.",
        parse.rate_limits,
    )
    access_log_days: int = _setting(
        "400",
        "How many days the access log keeps its rows: a year at least.",
        parse.whole(366, 36500),
    )
    max_body_bytes: int = _setting(
        "1048576",
        "Largest form body accepted, in bytes.",
        parse.whole(65536, 1 << 30),
    )
    log_level: str = _setting(
        "INFO",
        "Least important log line written: `DEBUG`, `INFO`, `WARNING` or `ERROR`.",
        parse.one_of("DEBUG", "INFO", "WARNING", "ERROR"),
    )
    log_format: str = _setting(
        "console",
        "Form of the log: `console` for people, `json` for machines.",
        parse.one_of("console", "json"),
    )
    metrics_token: str = _setting(
        "",
        "Bearer token that `/metrics` wants, 16 characters or more. Empty: it answers this machine only, unproxied.",
        parse.optional(parse.long_token),
        is_secret=True,
    )
    run_heartbeat_seconds: int = _setting(
        "10",
        "Seconds between two signs of life of a running sync.",
        parse.whole(1, 300),
    )
    run_lost_after_seconds: int = _setting(
        "45",
        "Seconds without a sign of life until a sync counts as lost and is taken up again.",
        parse.whole(3, 3600),
    )
    run_max_attempts: int = _setting(
        "5",
        "How often a failing sync run, file or action on many orders is tried before it is given up.",
        parse.whole(1, 20),
    )

    smtp_url: str = _setting(
        "",
        "Mail server for alarms: `smtp://user:password@host:587` or `smtps://…:465`. Empty: no e-mails.",
        parse.optional(parse.smtp_url),
        is_secret=True,
    )
    mail_from: str = _setting(
        "",
        "E-mail address that alarms come from, such as `flexdash@company.example`.",
        parse.optional(parse.email_address),
    )
    webhook_private_hosts: tuple[str, ...] = _setting(
        "",
        "Hosts inside your own network that webhooks may go to, separated by commas. All others must be public.",
        parse.hosts,
    )

    @property
    def is_production(self) -> bool:
        """Whether this installation serves a real merchant."""
        return self.flexdash_env == "production"

    @property
    def is_testing(self) -> bool:
        """Whether the test suite runs this installation."""
        return self.flexdash_env == "testing"

    @property
    def is_for_this_machine(self) -> bool:
        """Whether this is a trial that only people at this machine are meant to reach."""
        return not self.is_production and parse.is_loopback(self.bind_address)

    @property
    def amazon_redirect_uri(self) -> str:
        """The address Amazon sends the merchant back to, as it is registered with the app."""
        return f"{self.public_url}/amazon/callback"

    def __repr__(self) -> str:
        shown = (
            f"{setting.field}={'***' if setting.is_secret else repr(getattr(self, setting.field))}"
            for setting in SETTINGS_TABLE
        )
        return f"Settings({', '.join(shown)})"


SETTINGS_TABLE: tuple[Setting, ...] = tuple(
    Setting(name=field.name.upper(), **field.metadata) for field in dataclasses.fields(Settings)
)


def load_settings(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read and check every setting.

    `environ` is the process's environment unless given; an empty variable counts as not set. `overrides` are
    fields of `Settings`: text is read as it would be from the environment, other values stand as they are.
    Raises `SettingsError` naming every fault, and `TypeError` for an override that is no setting.
    """
    environ = os.environ if environ is None else environ
    unknown = set(overrides) - {setting.field for setting in SETTINGS_TABLE}
    if unknown:
        raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")

    values: dict[str, Any] = {}
    problems: list[str] = []
    for setting in SETTINGS_TABLE:
        given = overrides.get(setting.field, environ.get(setting.name, ""))
        if not isinstance(given, str):
            values[setting.field] = given
            continue
        raw = given.strip() or _default(setting, values)
        try:
            values[setting.field] = setting.parse(raw)
        except ValueError as error:
            found = "its value" if setting.is_secret else f"“{raw}”"
            problems.append(f"{setting.name}: {str(error).replace('{value}', found)}")
    if problems:
        raise SettingsError(problems)

    settings = Settings(**values)
    problems = [
        *_problems_together(settings),
        *(_production_problems(settings) if settings.is_production else ()),
    ]
    if problems:
        raise SettingsError(problems)
    return settings


def _default(setting: Setting, values: Mapping[str, Any]) -> str:
    data_dir = values.get("data_dir", PROJECT_DIR / "var")
    return setting.default.replace("<DATA_DIR>", str(data_dir)).replace("<PORT>", str(values.get("port", 8000)))


def _problems_together(settings: Settings) -> list[str]:
    """Faults that only show when two settings are seen together."""
    problems = []
    if settings.run_lost_after_seconds < 3 * settings.run_heartbeat_seconds:
        problems.append(
            f"RUN_LOST_AFTER_SECONDS: {settings.run_lost_after_seconds} is too short for a run that shows "
            f"itself every {settings.run_heartbeat_seconds} seconds. Set it to at least "
            "three times RUN_HEARTBEAT_SECONDS."
        )
    if settings.smtp_url and not settings.mail_from:
        problems.append(
            "MAIL_FROM: with SMTP_URL set, e-mails need an address to come from. "
            "Set it to one that your mail server takes, such as flexdash@company.example."
        )
    if (
        not settings.is_production
        and not parse.is_loopback(settings.bind_address)
        and settings.secret_key == DEVELOPMENT_SECRET_KEY
    ):
        problems.append(
            f"BIND_ADDRESS: {settings.bind_address} lets other machines in while SECRET_KEY is the default "
            "everyone knows. Set SECRET_KEY to a secret of your own, or leave BIND_ADDRESS at 127.0.0.1."
        )
    return problems


def _production_problems(settings: Settings) -> list[str]:
    """What is fine for a trial and not for production."""
    problems = []
    if settings.secret_key == DEVELOPMENT_SECRET_KEY:
        problems.append(
            "SECRET_KEY: production needs a secret of its own, and this is the public default. Make one "
            f"with: {_HOW_TO_MAKE_ONE}"
        )
    elif len(settings.secret_key) < MIN_SECRET_LENGTH:
        problems.append(
            f"SECRET_KEY: production needs at least {MIN_SECRET_LENGTH} characters, this one has "
            f"{len(settings.secret_key)}. Make one with: {_HOW_TO_MAKE_ONE}"
        )
    if DEVELOPMENT_ENCRYPTION_KEY in settings.encryption_keys:
        problems.append(
            f"ENCRYPTION_KEYS: production must not use the public default key. Make one with: {parse.MAKE_KEY}"
        )
    for name, sandbox_value in (
        ("AMAZON_APPLICATION_ID", SANDBOX_APPLICATION_ID),
        ("AMAZON_CLIENT_ID", SANDBOX_CLIENT_ID),
        ("AMAZON_CLIENT_SECRET", SANDBOX_CLIENT_SECRET),
    ):
        if getattr(settings, name.lower()) == sandbox_value:
            problems.append(
                f"{name}: production needs the value of your own app, and this is the sandbox's. "
                "Amazon's Solution Provider Portal shows it beside the app."
            )
    for name in ("PUBLIC_URL", "AMAZON_LWA_URL", "AMAZON_API_URL", "AMAZON_SELLER_CENTRAL_URL"):
        value = getattr(settings, name.lower())
        if value and not value.startswith("https://"):
            problems.append(
                f"{name}: production needs an encrypted address and “{value}” is not. Give the address with https://."
            )
    return problems
