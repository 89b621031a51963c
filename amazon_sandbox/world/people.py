"""Plainly made-up buyers and streets per country, and the goods of the demo workspace."""

SKU_CODES = (
    "TEE-BLK-M",
    "TEE-WHT-L",
    "MUG-STD",
    "LAMP-OAK",
    "YOGA-MAT",
    "BOTTLE-1L",
    "NOTE-A5",
    "CABLE-USBC",
    "PILLOW-2",
    "KETTLE-17",
)
# Net price in hundredths of a rupee; other currencies are reckoned from it by `RATES`.
PRICES = {
    "TEE-BLK-M": 49900,
    "TEE-WHT-L": 54900,
    "MUG-STD": 29900,
    "LAMP-OAK": 249900,
    "YOGA-MAT": 89900,
    "BOTTLE-1L": 64900,
    "NOTE-A5": 14900,
    "CABLE-USBC": 39900,
    "PILLOW-2": 99900,
    "KETTLE-17": 179900,
}
HSN_CODES = {
    "TEE-BLK-M": "610910",
    "TEE-WHT-L": "610910",
    "MUG-STD": "691200",
    "LAMP-OAK": "940520",
    "YOGA-MAT": "950691",
    "BOTTLE-1L": "392330",
    "NOTE-A5": "482010",
    "CABLE-USBC": "854442",
    "PILLOW-2": "940490",
    "KETTLE-17": "851610",
}
SERIALIZED_SKU_CODES = frozenset({"KETTLE-17"})
RATES = {"INR": (1, 1), "AED": (1, 22), "EUR": (1, 90), "USD": (1, 83), "JPY": (1, 50)}

FIRST_NAMES = {
    "IN": ("Asha", "Vikram", "Meera", "Rohan", "Kavya", "Imran", "अदिति", "Joseph"),
    "AE": ("Layla", "Omar", "Fatima", "Yusuf", "Noor", "Karim", "ليلى", "Maria"),
    "DE": ("Jürgen", "Zoë", "Anneliese", "Björn", "Käthe", "Emil", "Françoise", "Ulla"),
    "US": ("Alex", "Jordan", "Taylor", "Casey", "Morgan", "Riley", "José", "Avery"),
    "JP": ("Haruka", "Ren", "Sakura", "Takumi", "Yui", "Sota", "花子", "Aoi"),
}
LAST_NAMES = ("Example", "Fictional", "Madeup", "Specimen", "Sample", "O'Pretend", "Imaginary-Smith")
STREETS = ("Nowhere Lane", "Pretend Road", "Imaginary Street", "Example Avenue", "Sandbox Square")
# (city, state, postal code)
CITIES = {
    "IN": (("Pune", "Maharashtra", "411000"), ("Bengaluru", "Karnataka", "560000"), ("Delhi", "", "110000")),
    "AE": (("Dubai", "", "00000"), ("Abu Dhabi", "", "00000")),
    "DE": (("München", "Bayern", "80000"), ("Köln", "Nordrhein-Westfalen", "50000"), ("Berlin", "", "10000")),
    "US": (("Springfield", "CA", "90000"), ("Fairview", "TX", "75000")),
    "JP": (("Chiba", "Chiba", "260-0000"), ("Osaka", "Osaka", "530-0000")),
}
PHONES = {
    "IN": "+91 00000 {:05d}",
    "AE": "+971 50 00 {:05d}",
    "DE": "+49 30 000 {:05d}",
    "US": "+1 555 01{:05d}",
    "JP": "+81 90 000 {:05d}",
}
GIFT_MESSAGES = ("Happy birthday! 🎂", "With love from all of us", "Félicitations & à bientôt", "Get well <soon>")
