"""Settings: defaults, checks, and sentences a person can act on."""

import base64

import pytest

from config import PROJECT_DIR, SETTINGS_TABLE, Settings, SettingsError, load_settings

NEW_KEY = base64.urlsafe_b64encode(b"only the tests know this key".ljust(32)).decode()
PRODUCTION = {
    "FLEXDASH_ENV": "production",
    "SECRET_KEY": "a-secret-of-forty-characters-0123456789ab",
    "ENCRYPTION_KEYS": NEW_KEY,
    "PUBLIC_URL": "https://flexdash.example.com",
    "AMAZON_APPLICATION_ID": "amzn1.sp.solution.1111",
    "AMAZON_CLIENT_ID": "amzn1.application-oa2-client.1111",
    "AMAZON_CLIENT_SECRET": "amzn1.oa2-cs.v1.1111",
}


def problems_of(environ):
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return caught.value.problems


def test_empty_environment_gives_working_defaults():
    settings = load_settings({})
    assert settings.port == 8000
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.data_dir == PROJECT_DIR / "var"
    assert settings.database_url == f"sqlite:///{PROJECT_DIR}/var/flexdash.db"
    assert settings.amazon_redirect_uri == "http://127.0.0.1:8000/amazon/callback"
    assert settings.amazon_api_url == ""
    assert not settings.is_production


def test_defaults_follow_the_settings_they_are_made_of(tmp_path):
    settings = load_settings({"PORT": "9000", "DATA_DIR": str(tmp_path)})
    assert settings.public_url == "http://127.0.0.1:9000"
    assert settings.database_url == f"sqlite:///{tmp_path}/flexdash.db"


def test_an_empty_variable_counts_as_not_set():
    assert load_settings({"PORT": " ", "LOG_LEVEL": ""}) == load_settings({})


def test_every_setting_is_in_the_table_once_with_a_sentence():
    names = [setting.name for setting in SETTINGS_TABLE]
    assert len(names) == len(set(names))
    assert all(setting.doc.endswith(".") for setting in SETTINGS_TABLE)


def test_all_problems_are_told_together():
    problems = problems_of({"PORT": "high", "LOG_FORMAT": "xml", "REDIS_URL": "localhost"})
    assert [problem.split(":")[0] for problem in problems] == ["PORT", "REDIS_URL", "LOG_FORMAT"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "70000", "PORT: “70000” is out of range. Give a whole number from 1 to 65535."),
        ("PORT", "8000.5", "PORT: “8000.5” is not a whole number. Give one from 1 to 65535."),
        ("AMAZON_TIMEOUT_SECONDS", "nan", "is out of range"),
        ("AMAZON_APP_IS_DRAFT", "maybe", "Write true or false."),
        ("FLEXDASH_ENV", "staging", "Use one of: development, production, testing."),
        ("BIND_ADDRESS", "example.com", "is not an IP address"),
        ("PUBLIC_URL", "flexdash.example.com", "is not a web address"),
        ("PUBLIC_URL", "https://flexdash.example.com/app", "goes on after the host"),
        ("PUBLIC_URL", "https://user:pass@flexdash.example.com", "Leave them out"),
        ("PUBLIC_URL", "https://flexdash.example.com:notaport", "is not a web address"),
        ("DATABASE_URL", "mysql://host/name", "FlexDash does not work with mysql."),
        ("DATABASE_URL", "postgresql+psycopg2://host/name", "does not work with postgresql+psycopg2"),
        ("DATABASE_URL", "postgresql://host", "it names no database"),
        ("DATABASE_URL", "sqlite://", "is a plain file"),
        ("DATABASE_URL", "flexdash.db", "it is not a database address"),
        ("REDIS_URL", "http://host", "it is not a Redis address"),
        ("ENCRYPTION_KEYS", "short", "key 1 of 1 is not a Fernet key"),
        ("ENCRYPTION_KEYS", ",", "there is no key in it"),
        ("ENCRYPTION_KEYS", f"{NEW_KEY},{NEW_KEY}", "the same key stands in it twice"),
        ("SIGN_IN_ATTEMPTS", "often", "is not a list of limits"),
        ("AMAZON_CLIENT_ID", "two words", "holds white space"),
        ("RUN_LOST_AFTER_SECONDS", "12", "at least three times RUN_HEARTBEAT_SECONDS"),
        ("DATA_DIR", "config.py", "is a file"),
        ("SMTP_URL", "mail.company.example", "it is not a mail server's address"),
        ("SMTP_URL", "smtp://user@mail.company.example", "it is not a mail server's address"),
        ("MAIL_FROM", "Alarms <alarms@company.example>", "is not an e-mail address"),
        ("WEBHOOK_PRIVATE_HOSTS", "https://hooks.internal", "is not a list of hosts"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(name, value, sentence):
    (problem,) = problems_of({name: value})
    assert problem.startswith(f"{name}: ")
    assert sentence in problem


def test_e_mails_need_an_address_to_come_from():
    (problem,) = problems_of({"SMTP_URL": "smtp://mail.company.example"})
    assert problem.startswith("MAIL_FROM: with SMTP_URL set")
    settings = load_settings({"SMTP_URL": "smtp://mail.company.example", "MAIL_FROM": "flexdash@company.example"})
    assert settings.mail_from == "flexdash@company.example"


def test_hosts_inside_the_own_network_are_read_as_names():
    assert load_settings({"WEBHOOK_PRIVATE_HOSTS": "Hooks.internal, chat.internal"}).webhook_private_hosts == (
        "hooks.internal",
        "chat.internal",
    )


def test_postgres_addresses_get_the_driver_and_keep_the_password():
    expected = "postgresql+psycopg://me:p%40ss@host:5433/flex?sslmode=require"
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        url = f"{scheme}://me:p%40ss@host:5433/flex?sslmode=require"
        assert load_settings({"DATABASE_URL": url}).database_url == expected


def test_a_relative_sqlite_path_starts_at_the_project():
    assert load_settings({"DATABASE_URL": "sqlite:///my.db"}).database_url == f"sqlite:///{PROJECT_DIR}/my.db"


def test_other_machines_are_not_let_in_with_the_public_secret():
    (problem,) = problems_of({"BIND_ADDRESS": "0.0.0.0"})
    assert problem.startswith("BIND_ADDRESS: 0.0.0.0 lets other machines in")
    assert load_settings({"BIND_ADDRESS": "0.0.0.0", "SECRET_KEY": "mine"}).bind_address == "0.0.0.0"
    assert load_settings({"BIND_ADDRESS": "localhost"}).bind_address == "127.0.0.1"


def test_production_starts_with_settings_of_its_own():
    settings = load_settings(PRODUCTION)
    assert settings.is_production
    assert settings.amazon_redirect_uri == "https://flexdash.example.com/amazon/callback"


@pytest.mark.parametrize("name", sorted(PRODUCTION.keys() - {"FLEXDASH_ENV"}))
def test_production_refuses_each_public_default(name):
    (problem,) = problems_of({**PRODUCTION, name: ""})
    assert problem.startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["AMAZON_LWA_URL", "AMAZON_API_URL", "AMAZON_SELLER_CENTRAL_URL"])
def test_production_sends_secrets_only_over_https(name):
    (problem,) = problems_of({**PRODUCTION, name: "http://127.0.0.1:8001"})
    assert problem.startswith(f"{name}: production needs an encrypted address")


def test_production_refuses_a_short_secret_and_an_old_public_key():
    default_key = load_settings({}).encryption_keys[0]
    problems = problems_of({**PRODUCTION, "SECRET_KEY": "short", "ENCRYPTION_KEYS": f"{NEW_KEY},{default_key}"})
    assert [problem.split(":")[0] for problem in problems] == ["SECRET_KEY", "ENCRYPTION_KEYS"]


def test_no_secret_is_shown_in_messages_or_in_the_representation():
    canary = "canary-0123456789"
    for name in [setting.name for setting in SETTINGS_TABLE if setting.is_secret]:
        try:
            shown = repr(load_settings({name: canary}))
        except SettingsError as error:
            shown = str(error)
        assert canary not in shown
    shown = repr(load_settings({"DATABASE_URL": f"postgresql://me:{canary}@host/name"}))
    assert canary not in shown
    assert "port=8000" in shown


def test_overrides_win_over_the_environment_and_text_is_read():
    settings = load_settings({"PORT": "9000"}, port="9100", order_pull_interval_minutes=1)
    assert (settings.port, settings.order_pull_interval_minutes) == (9100, 1)
    with pytest.raises(TypeError, match="no such setting: prot"):
        load_settings({}, prot=1)


def test_settings_cannot_be_changed():
    settings = load_settings({})
    assert isinstance(settings, Settings)
    with pytest.raises(AttributeError):
        settings.port = 1
