export { type ReceiptFailure, receiptFailures } from './receipt-failure.ts';
export { type ReceiptInput, type VerifiedReceipt, verifyReceipt } from './verify-receipt.ts';
