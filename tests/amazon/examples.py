"""Shipments as Amazon sends them."""

import copy
from typing import Any


def money(value: str) -> dict[str, str]:
    return {"value": value, "currencyCode": "INR"}


def breakup(net: str, base: str | None = None, discount: str = "0") -> dict[str, Any]:
    return {"baseAmount": money(base or net), "discountAmount": money(discount), "netAmount": money(net)}


def charge(kind: str, base: str, tax: str, total: str) -> dict[str, Any]:
    return {
        "chargeType": kind,
        "baseCharge": breakup(base),
        "taxBreakup": [{"type": "IGST", "rate": "0.18", "charge": breakup(tax)}],
        "totalTax": {"type": "TOTAL", "rate": "0.18", "charge": breakup(tax)},
        "totalCharge": breakup(total),
    }


_SHIPMENT: dict[str, Any] = {
    "id": "D1px1063T",
    "locationId": "EXSB",
    "marketplaceAttributes": {"marketplaceId": "A21TJRUUN4KGV", "channelName": "FBA", "customAttributes": ["PRIME"]},
    "shipmentInfo": {
        "shipmentType": "NEW",
        "numberOfUnits": 3,
        "priority": "HIGH",
        "buyerOrderId": "402-1234567-1234567",
        "orderStatesEligibleForRejection": ["ACCEPTED", "CONFIRMED"],
        "orderPlacedTimestamp": "1591637038000",
        "processingSource": "EXTERNAL_PLATFORM",
        "paymentMethod": "PREPAID",
    },
    "shipmentRequirements": {"pSlip": {}, "invoice": {"requirement": "REQUIRED", "status": "PENDING"}},
    "charges": [charge("TOTAL", "120", "22", "152.50"), charge("SHIPPING", "30", "5", "35")],
    "status": "ACCEPTED",
    "subStatus": "PENDING_SCHEDULE",
    "lineItems": [
        {
            "shipmentLineItemId": "1",
            "merchantSku": "1002400773021",
            "numberOfUnits": 2,
            "charges": [charge("PRODUCT", "80.10", "12", "92.10"), charge("GIFT", "20", "5", "25")],
            "complianceAttributes": {"serialNumberRequirement": "DISALLOWED"},
            "giftAttributes": {
                "giftWrapRequirement": "REQUIRED",
                "giftMessagePresence": "PRESENT",
                "giftMessage": {"format": "PLAIN_TEXT", "content": "SGFwcHkgYmlydGhkYXk="},
            },
        },
        {
            "shipmentLineItemId": "2",
            "merchantSku": "1E5",
            "numberOfUnits": 1,
            "charges": [],
            "complianceAttributes": {},
        },
    ],
    "shippingInfo": {
        "expectedShippingDateTimeInUTC": "2020-06-09T17:00:00Z",
        "shippingType": "MARKETPLACE",
        "shipToAddress": {
            "name": "Asha Rao",
            "addressLine1": "12 MG Road",
            "addressLine3": "Camp",
            "city": "Pune",
            "state": "Maharashtra",
            "postalCode": "411001",
            "countryCode": "IN",
            "phoneNumber": "+91 20 1234 5678",
            "email": "asha@example.com",
        },
    },
    "creationDateTime": "2020-06-08T17:23:58Z",
    "lastUpdatedDateTime": "2020-06-08T22:10:15.250Z",
    "earliestPackDateTime": "2020-06-09 14:00:00Z",
}


def shipment(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(_SHIPMENT), **changes}


# Every field of the model, with Amazon's own sorts of values.
_RETURN: dict[str, Any] = {
    "id": "RMA-7d1c-0001",
    "returnLocationId": "EXSB",
    "merchantSku": "1E5",
    "returnType": "CUSTOMER",
    "returnSubType": "NORMAL",
    "numberOfUnits": 2,
    "status": "OUT_FOR_DELIVERY",
    "fulfillmentLocationId": "PNQ1",
    "creationDateTime": "2020-06-18T09:00:00Z",
    "lastUpdatedDateTime": "2020-06-20T10:15:00.250Z",
    "returnMetadata": {
        "returnReason": "CR-DEFECTIVE",
        "rmaId": "DxRma1",
        "fulfillmentOrderId": "D1px1063T",
        "invoiceInformation": {"id": "INV-77"},
    },
    "returnShippingInfo": {
        "deliveryDateTime": "2020-06-21T08:00:00Z",
        "pickupDateTime": "2020-06-19T08:00:00Z",
        "forwardTrackingInfo": {"carrierName": "ATS", "trackingId": "FWD1"},
        "reverseTrackingInfo": {"carrierName": "ATS", "trackingId": "REV2"},
    },
    "marketplaceChannelDetails": {
        "marketplaceChannel": {"marketplaceName": "AMAZON_IN", "channelName": "FBA"},
        "merchantId": "A1SELLER",
        "shipmentId": "DmMarket1",
        "customerOrderId": "402-1234567-1234567",
        "returnLocationId": "EXSB",
        "channelSku": "X00CHANNEL",
        "exchangeOrderId": "6cb83006-0597-4bc1-82ab-715b33eb6cf1",
    },
    "otpDetails": {"otp": "739182", "validTill": 1592812800},
    "packageDeliveryMode": "WITH_OTP",
    "replanningDetails": {"previousTrackingInfo": [{"carrierName": "ATS", "trackingId": "REV1"}]},
}


def return_item(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(_RETURN), **changes}
